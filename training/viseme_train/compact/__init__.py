"""The compact family: networks made for CPUs. `docs/adding-a-family.md` and `Sources/Viseme/Families/Compact.swift` have the same numbers."""
