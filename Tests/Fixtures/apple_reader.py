"""Loads Core ML packages with Apple's own reader, operation by operation: every shape that it infers must be the one that the package declares.

    viseme convert avatars/robin.avatar/generator.onnx out/generator.mlpackage
    python Tests/Fixtures/apple_reader.py out/generator.mlpackage …       needs coremltools (Tests/Fixtures/requirements.txt)

It runs on Linux; whether Apple's runtime compiles and runs a package, only a Mac can say.
"""
from __future__ import annotations

import logging
import sys
from collections import Counter


def check(path: str) -> str:
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load

    model = ct.models.MLModel(path, skip_model_load=True)
    spec = model.get_spec()
    function = load(spec, spec.specificationVersion, model.weights_dir).functions["main"]
    stated = spec.mlProgram.functions["main"]
    operations = [o for o in stated.block_specializations[stated.opset].operations if o.type != "const"]
    declared = {made.name: tuple(d.constant.size for d in made.type.tensorType.dimensions) for o in operations for made in o.outputs}
    inferred = {made.name: tuple(made.shape) for o in function.operations for made in o.outputs if made.name in declared}
    if inferred != declared:
        wrong = next(name for name in declared if inferred.get(name) != declared[name])
        raise SystemExit(f"{path}: '{wrong}' is declared as {declared[wrong]}, Apple's reader infers {inferred.get(wrong)}")
    counts = ", ".join(f"{n} {kind}" for kind, n in Counter(o.type for o in operations).most_common())
    return f"{path}: {len(declared)} shapes as declared; {counts}"


def main() -> None:
    logging.disable(logging.WARNING)
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    for path in sys.argv[1:]:
        print(check(path))


if __name__ == "__main__":
    main()
