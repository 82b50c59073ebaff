"""The compact family: networks made for CPUs. `Sources/Viseme/Viseme.docc/AddingAFamily.md` and `Sources/Viseme/Families/Compact.swift` have the same numbers."""
