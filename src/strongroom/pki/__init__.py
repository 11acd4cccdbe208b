"""Rules about certificates, keys and signing requests; pure functions over `cryptography`."""

import warnings

# The library warns about certificates that others made wrongly, and nobody who reads our log can act on that. Silenced
# for the whole process: to change the filters for a while is not safe with threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"(strongroom|cryptography)\.")
