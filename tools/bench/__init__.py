"""The benchmark: Strongroom and OpenBao side by side, in alternating turns on one machine.

``make bench`` runs it; ``docs/operations/benchmarks.md`` says how to read the result. Layout:

- ``contender.py`` what both servers look like to the benchmark; ``openbao.py`` and ``strongroom.py`` are they,
- ``load.py`` and ``load.lua`` one turn of load, ``processes.py`` what the servers cost meanwhile,
- ``measurements.py`` the list of what is measured; a new row is an entry there and a workload of each contender,
- ``measuring.py`` what measurements have in common, ``private_certificates.py`` those that only certificates need,
- ``openbao_authorities.py`` and ``strongroom_authorities.py`` the authorities, ``certificates.py`` what both share,
- ``figures.py`` gates, medians and verdicts, ``report.py`` the printed table and the JSON file.
"""
