"""The services about private certificate authorities, put together."""

from __future__ import annotations

from strongroom.domain.authorities.configuring import AuthorityConfigurations
from strongroom.domain.authorities.context import AuthorityContext
from strongroom.domain.authorities.crls import CrlRenewal, Crls
from strongroom.domain.authorities.evaluating import DryRun
from strongroom.domain.authorities.issuing import Issuance
from strongroom.domain.authorities.lifecycle import CertificateWatch, CrlWatch
from strongroom.domain.authorities.linting import Linter, Linting, LintSteps
from strongroom.domain.authorities.ocsp import OcspResponder
from strongroom.domain.authorities.publishing import Publishing
from strongroom.domain.authorities.revoking import Revocation
from strongroom.domain.authorities.signing import Signing
from strongroom.domain.authorities.templates import TemplateConfigurations
from strongroom.kernel.value import value


@value
class AuthorityServices:
    """Everything that can be done with private certificate authorities."""

    context: AuthorityContext
    issuance: Issuance
    dry_run: DryRun
    revocation: Revocation
    crls: Crls
    renewal: CrlRenewal
    lint_steps: LintSteps
    certificate_watch: CertificateWatch
    crl_watch: CrlWatch
    publishing: Publishing
    ocsp: OcspResponder
    authorities: AuthorityConfigurations
    templates: TemplateConfigurations

    @classmethod
    def build(cls, context: AuthorityContext, linter: Linter) -> AuthorityServices:
        """Return the services over one context."""
        crls = Crls(context)
        linting = Linting(context, linter)
        issuance = Issuance(context, linting)
        return cls(
            context=context,
            issuance=issuance,
            dry_run=DryRun(issuance, linting),
            revocation=Revocation(context),
            crls=crls,
            renewal=CrlRenewal(context, crls),
            lint_steps=LintSteps(context, linting),
            certificate_watch=CertificateWatch(context),
            crl_watch=CrlWatch(context),
            publishing=Publishing(context, crls),
            ocsp=OcspResponder(context),
            authorities=AuthorityConfigurations(context, crls, Signing(context)),
            templates=TemplateConfigurations(context),
        )
