"""Make the RSA keys that tests use: ``python tests/assets/pki/regenerate.py``.

They protect nothing. They are kept because making RSA keys is what would make the tests slow.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

SIZES = (512, 1024, 2048, 3072, 4096, 8192)


def main() -> None:
    here = Path(__file__).parent
    for size in SIZES:
        subprocess.run(
            ["openssl", "genrsa", "-traditional", "-out", str(here / f"rsa-{size}.pem"), str(size)], check=True
        )
    # A second key of the usual size, for certificates that must not match.
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(here / "rsa-2048-other.pem"), "2048"], check=True)


if __name__ == "__main__":
    main()
