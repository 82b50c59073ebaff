public import Foundation
import Viseme

/// Checkpoints that `torch.save` writes: the ZIP form, the form before torch 1.6, and whole pickled networks.
///
/// **Nothing in such a file is executed.** A pickle is read as data: a function that it names becomes a name.
public enum PyTorchCheckpoint {
    /// Reads the tensors of a checkpoint, in the order of its keys.
    ///
    /// Wrappers such as `{"epoch": …, "state_dict": {…}}` are opened and a prefix `module.` of every name is stripped; the
    /// remarks of the result say so. Views become contiguous row-major tensors. Memory stays below the file's size, four
    /// times the file and 64 KB for the tensors, and 64 bytes for each byte of the pickle.
    ///
    /// - Parameters:
    ///   - data: The file.
    ///   - name: Its name, for errors.
    /// - Throws: `.badData` for a damaged file or one without a tensor, `.unsupported` for one that is well-formed and not
    ///   read here (big-endian, compressed, sparse or quantised tensors, …).
    public static func read(_ data: Data, name: String) throws -> StateDict {
        try read(CheckpointBytes(data, name: name))
    }

    /// Reads a checkpoint; the check sums of the ZIP form may be ignored by tests that damage files on purpose.
    static func read(_ bytes: CheckpointBytes, checkingSums: Bool = true) throws -> StateDict {
        if StoredArchive.begins(bytes) { return try readArchive(bytes, checkingSums: checkingSums) }
        let beginning = bytes.text(0..<min(bytes.count, 512))
        if beginning.hasPrefix("version https://git-lfs") {
            throw VisemeError(
                .badData, "'\(bytes.name)' is a Git LFS pointer, not the checkpoint.", hint: "git lfs pull")
        }
        if let first = beginning.first(where: { !$0.isWhitespace }), first == "<" {
            throw VisemeError(
                .badData, "'\(bytes.name)' is a web page, not a checkpoint.",
                hint: "Fetch the file itself: the address led to a page about it.")
        }
        if bytes.count > 262, bytes.text(257..<262) == "ustar" {
            throw bytes.unsupported(
                "is a tar archive, the form of torch 0.1", hint: "Load it with an old torch and save it again.")
        }
        return try readPickles(bytes)
    }

    // MARK: - The ZIP form

    private static func readArchive(_ bytes: CheckpointBytes, checkingSums: Bool) throws -> StateDict {
        let archive = try StoredArchive(bytes)
        // The folder is named after the file, so it is found by what lies in it.
        let pickles = archive.entries.filter { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
        guard let pickle = pickles.first, pickles.count == 1 else {
            let names = archive.entries.prefix(3).map { "'\(PickleGraph.printable($0.name))'" }.joined(separator: ", ")
            throw VisemeError(
                .badData,
                "'\(bytes.name)' is a ZIP archive with \(pickles.count) entries data.pkl, one is expected. It holds "
                    + "\(archive.entries.count) files: \(names)\(archive.entries.count > 3 ? ", …" : "").",
                hint: "Expected is what torch.save(model.state_dict(), path) writes.")
        }
        let root = pickle.name.dropLast("data.pkl".count)
        if let order = archive["\(root)byteorder"] {
            let text = String(
                decoding: try archive.contents(order, checkingSum: checkingSums).prefix(16), as: UTF8.self)
            guard text.filter({ !$0.isWhitespace }) == "little" else {
                throw bytes.unsupported(
                    "was written on a machine of the byte order '\(PickleGraph.printable(text))'",
                    hint: "Load it with torch on a little-endian machine and save it again.")
            }
        }
        var parts: [String: Data] = [:]
        for entry in archive.entries where entry.name.hasPrefix("\(root)data/") {
            let key = String(entry.name.dropFirst(root.count + 5))
            parts[key] = try archive.contents(entry, checkingSum: checkingSums)
        }
        let inner = CheckpointBytes(try archive.contents(pickle, checkingSum: checkingSums), name: bytes.name)
        let result = try PickleMachine.read(inner)
        var walk = CheckpointWalk(graph: result.graph, storages: CheckpointStorages(bytes: bytes, parts: parts))
        return try walk.stateDict(result.root)
    }

    // MARK: - The form before torch 1.6

    /// 0x1950a86a20f9469cfc6c, little-endian.
    private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

    /// Five pickles (magic number, version, machine, the object, the keys of its storages), then the storages.
    private static func readPickles(_ bytes: CheckpointBytes) throws -> StateDict {
        let first: PickleMachine.Result
        do {
            first = try PickleMachine.read(bytes)
        } catch let error as VisemeError where error.code == .badData {
            throw VisemeError(
                .badData, "'\(bytes.name)' is not a PyTorch checkpoint.",
                hint: "Expected is what torch.save(model.state_dict(), path) writes.", cause: error)
        }
        guard case .bytes(let span) = first.root, bytes.part(span.range).elementsEqual(magic) else {
            var walk = CheckpointWalk(graph: first.graph, storages: CheckpointStorages(bytes: bytes, parts: [:]))
            return try walk.stateDict(first.root)
        }
        let version = try PickleMachine.read(bytes, at: first.end)
        guard version.root == .int(1001) else {
            throw bytes.unsupported("has an unknown version of torch's old form", hint: "Save it with a present torch.")
        }
        let machine = try PickleMachine.read(bytes, at: version.end)
        guard machine.graph.entry("little_endian", of: machine.root) != .bool(false) else {
            throw bytes.unsupported(
                "was written on a big-endian machine",
                hint: "Load it with torch on a little-endian machine and save it again.")
        }
        let object = try PickleMachine.read(bytes, at: machine.end)
        let keys = try PickleMachine.read(bytes, at: object.end)
        let parts = try storages(of: object.graph, keys: keys, in: bytes)
        var walk = CheckpointWalk(graph: object.graph, storages: CheckpointStorages(bytes: bytes, parts: parts))
        return try walk.stateDict(object.root)
    }

    /// After the pickles, for each key: the number of elements in eight bytes, then the elements.
    private static func storages(
        of graph: PickleGraph, keys: PickleMachine.Result, in bytes: CheckpointBytes
    ) throws -> [String: Data] {
        // Only the object says how long an element is.
        var itemBytes: [String: Int] = [:]
        for node in graph.nodes where node.kind == .storage && node.items.count > 2 {
            guard let key = graph.text(node.items[2]), itemBytes[key] == nil,
                let name = CheckpointStorages.torchName(graph.globalName(node.items[1]))
            else { continue }
            itemBytes[key] = name == "UntypedStorage" ? 1 : CheckpointStorages.elementType(name)?.byteCount ?? 0
        }
        var parts: [String: Data] = [:]
        var position = keys.end
        for item in keys.graph.items(keys.root) {
            guard let key = keys.graph.text(item), let size = itemBytes[key] else {
                throw bytes.damaged("it lists a storage that no tensor names")
            }
            guard size > 0 else {
                throw bytes.unsupported(
                    "holds a storage of a type that is not read here",
                    hint: "Read are float64/32/16, bfloat16, int64/32/16/8, uint8 and bool. Convert it before saving.")
            }
            let count = try Int(clamping: bytes.integer(Int64.self, at: position))
            let (length, overflow) = count.multipliedReportingOverflow(by: size)
            let range = try bytes.range(at: position + 8, count: overflow ? .max : length)
            guard parts.updateValue(bytes.part(range), forKey: key) == nil else {
                throw bytes.damaged("it lists the storage '\(PickleGraph.printable(key))' twice")
            }
            position = range.upperBound
        }
        return parts
    }
}
