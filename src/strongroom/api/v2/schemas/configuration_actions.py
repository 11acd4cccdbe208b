"""Actions on configurations. Source: api-v2-models M4.7."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from strongroom.api.parameters import CommonName, ConfigurationName, Csr, Duration, Pem, text
from strongroom.api.v2.schemas.authorities import PrivateCertificateConfigurationCACertificate
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.api.v2.schemas.certificate_parts import AlternativeNames, BelowAuthority, Subject
from strongroom.api.v2.schemas.private_certs import CertificateFormat

SignCsr = Literal["private_cert_configuration_action_sign_csr"]
SignIntermediate = Literal["private_cert_configuration_action_sign_intermediate"]
SetSigned = Literal["private_cert_configuration_action_set_signed"]
RevokeAuthority = Literal["private_cert_configuration_action_revoke_ca_certificate"]
RotateCrl = Literal["private_cert_configuration_action_rotate_crl"]
RotateIntermediate = Literal["private_cert_configuration_action_rotate_intermediate"]
TestPublic = Literal["public_cert_configuration_action_test"]
Domain = Annotated[str, WithJsonSchema(text(1, 253))]

# --- signing


class _Signing(AlternativeNames, Subject, BelowAuthority):
    """How a child certificate differs from its CSR."""

    common_name: CommonName | None = None
    format: CertificateFormat | None = None
    use_csr_values: bool | None = None


class _SigningWithLife(_Signing):
    """The life is a duration here, and a number in the answer of a rotation."""

    ttl: Duration | None = None


class PrivateCertificateConfigurationActionSignCSRPrototype(_SigningWithLife, Request):
    """Signs the CSR of an authority elsewhere."""

    action_type: SignCsr
    csr: Csr


class PrivateCertificateConfigurationActionSignCSR(_SigningWithLife, Answer):
    """The CSR was signed."""

    action_type: SignCsr
    csr: str
    data: PrivateCertificateConfigurationCACertificate | None = None


class PrivateCertificateConfigurationActionSignIntermediatePrototype(_SigningWithLife, Request):
    """Signs an intermediate of this instance."""

    action_type: SignIntermediate
    intermediate_certificate_authority: ConfigurationName


class PrivateCertificateConfigurationActionSignIntermediate(_SigningWithLife, Answer):
    """The intermediate was signed."""

    action_type: SignIntermediate
    intermediate_certificate_authority: str


class PrivateCertificateConfigurationActionSetSignedPrototype(Request):
    """Hands over the certificate that was signed elsewhere, perhaps with its chain."""

    action_type: SetSigned
    certificate: Pem


class PrivateCertificateConfigurationActionSetSigned(Answer):
    """The certificate was taken."""

    action_type: SetSigned
    certificate: str


# --- revoking and rotating


class PrivateCertificateConfigurationActionRevokePrototype(Request):
    """Revokes the certificate of an intermediate."""

    action_type: RevokeAuthority


class PrivateCertificateConfigurationActionRevoke(Answer):
    """The certificate of the intermediate was revoked."""

    action_type: RevokeAuthority
    revocation_time_seconds: int | None = None


class PrivateCertificateConfigurationActionRotateCRLPrototype(Request):
    """Makes the revocation list anew."""

    action_type: RotateCrl


class PrivateCertificateConfigurationActionRotateCRL(Answer):
    """The revocation list was made anew."""

    action_type: RotateCrl
    success: bool


class PrivateCertificateConfigurationActionRotatePrototype(Request):
    """Makes a new certificate for an intermediate."""

    action_type: RotateIntermediate


class PrivateCertificateConfigurationRotateAction(_Signing, Answer):
    """The new certificate of an intermediate; ``ttl`` in seconds."""

    ttl: int | None = None
    csr: str | None = None
    data: PrivateCertificateConfigurationCACertificate | None = None


class PrivateCertificateConfigurationActionRotate(Answer):
    """The intermediate has a new certificate."""

    action_type: RotateIntermediate
    name: str
    config: PrivateCertificateConfigurationRotateAction


# --- trying a public CA or DNS provider out (extension)


class PublicCertificateConfigurationActionTestPrototype(Request):
    """Tries a configuration out; ``domain`` says where a DNS configuration writes its probe."""

    action_type: TestPublic
    domain: Domain | None = None


class ConfigurationTestStep(Answer):
    """What one step of a test found."""

    name: str
    success: bool
    message: str
    duration_ms: int


class PublicCertificateConfigurationActionTest(Answer):
    """The configuration was tried out, with whatever result."""

    action_type: TestPublic
    success: bool
    steps: list[ConfigurationTestStep]


ConfigurationActionPrototype = Annotated[
    PrivateCertificateConfigurationActionSignCSRPrototype
    | PrivateCertificateConfigurationActionSignIntermediatePrototype
    | PrivateCertificateConfigurationActionSetSignedPrototype
    | PrivateCertificateConfigurationActionRevokePrototype
    | PrivateCertificateConfigurationActionRotateCRLPrototype
    | PrivateCertificateConfigurationActionRotatePrototype
    | PublicCertificateConfigurationActionTestPrototype,
    Field(discriminator="action_type"),
]
ConfigurationAction = Annotated[
    PrivateCertificateConfigurationActionSignCSR
    | PrivateCertificateConfigurationActionSignIntermediate
    | PrivateCertificateConfigurationActionSetSigned
    | PrivateCertificateConfigurationActionRevoke
    | PrivateCertificateConfigurationActionRotateCRL
    | PrivateCertificateConfigurationActionRotate
    | PublicCertificateConfigurationActionTest,
    Field(discriminator="action_type"),
]
