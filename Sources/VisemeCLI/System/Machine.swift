import Foundation

/// What this machine is, as far as a render or a server cares. Linux only; elsewhere what Foundation knows.
struct Machine {
    /// The processor's name, or nil.
    var processor: String?
    /// Instructions that the runtime's kernels are fast with, of those that we look for.
    var instructions: [String]
    /// Cores that this process may use.
    var cores: Int
    /// Cores' worth of time that the container allows, or nil.
    var quota: Double?
    /// Bytes of memory, and those that are free for programs.
    var memory: Int
    var available: Int?

    /// Instruction sets that matter, by the kernel's names, the fastest last. The VNNI ones and `i8mm` are for models in int8.
    private static let known = [
        "sse4_1", "avx", "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm",
        "sve",
    ]

    /// Describes a machine by the texts of Linux's `/proc/cpuinfo`, `/proc/meminfo` and the container's `cpu.max` and `memory.max`; nil for what is not
    /// there.
    init(cores: Int, memory: Int, cpuinfo: String?, meminfo: String?, cpuMax: String?, memoryMax: String?) {
        self.cores = cores
        let processor = Self.entry("model name", in: cpuinfo)
        let flags = Set(
            (Self.entry("flags", in: cpuinfo) ?? Self.entry("Features", in: cpuinfo) ?? "").split(separator: " ").map(
                String.init))
        self.processor = processor
        instructions = Self.known.filter(flags.contains)
        let share = (cpuMax ?? "").split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        quota = share.count == 2 && share[1] > 0 ? share[0] / share[1] : nil
        let limit = memoryMax.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        self.memory = min(memory, limit ?? memory)
        let free = Self.entry("MemAvailable", in: meminfo)?.split(separator: " ").first.flatMap { Int($0) }
        available = free.map { min($0 * 1024, self.memory) }
    }

    /// This machine.
    static var current: Machine {
        let information = ProcessInfo.processInfo
        // A file that is not there is a system without it.
        func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
        return Machine(
            cores: information.activeProcessorCount, memory: Int(clamping: information.physicalMemory),
            cpuinfo: text("/proc/cpuinfo"), meminfo: text("/proc/meminfo"), cpuMax: text("/sys/fs/cgroup/cpu.max"),
            memoryMax: text("/sys/fs/cgroup/memory.max"))
    }

    /// The value of the first line `NAME : VALUE`.
    private static func entry(_ name: String, in text: String?) -> String? {
        for line in (text ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == name {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }
}
