import Foundation

/// The standard process metrics of Prometheus: CPU time, memory, open files and start time. Linux only.
enum ProcessFigures {
    /// Lines for `/metrics`; empty where `/proc` is missing.
    static func text() -> String {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return "" }
        // The program's name may have spaces. The first field after it is number 3 of proc(5).
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        func field(_ number: Int) -> Double { number - 3 < fields.count ? Double(fields[number - 3]) ?? 0 : 0 }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        var lines: [String] = []
        func add(_ name: String, _ type: String, _ help: String, _ value: Double) {
            lines += ["# HELP process_\(name) \(help)", "# TYPE process_\(name) \(type)", "process_\(name) \(value)"]
        }
        add(
            "cpu_seconds_total", "counter", "User and system processor time in seconds.",
            (field(14) + field(15)) / ticks)
        add("virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", field(23))
        add(
            "resident_memory_bytes", "gauge", "Resident memory size in bytes.",
            field(24) * Double(sysconf(Int32(_SC_PAGESIZE))))
        add("threads", "gauge", "Operating system threads.", field(20))
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            add("open_fds", "gauge", "Open file descriptors.", Double(files.count))
        }
        add("max_fds", "gauge", "File descriptors that may be open.", Double(sysconf(Int32(_SC_OPEN_MAX))))
        if let system = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let boot = system.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })?.dropFirst(6),
            let seconds = Double(boot)
        {
            add(
                "start_time_seconds", "gauge", "Start of the process since the epoch, in seconds.",
                seconds + field(22) / ticks)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
