"""Motion Server's protocol: messages as frozen values, their codec, keyframes, ids and the two state tables.

A tag in brackets, such as (recording) or (docs:audio), names the source of a fact; rules/rule_sources.py
explains the tags. ASSUMED marks what no source says."""
