import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// What this machine can do with Viseme, and what to install.
struct SystemReport: Encodable {
    /// One thing that was looked at.
    struct Finding: Encodable {
        var subject: String
        var outcome: DoctorReport.Outcome
        var message: String
        var advice: String?
    }

    var version = Release.version
    private(set) var findings: [Finding] = []

    /// Whether robin can be rendered here.
    var isReady: Bool { !findings.contains { $0.outcome == .bad } }

    /// Looks at the machine, the runtime, libav*, the default avatar and a text-to-speech program.
    static func examine(
        _ machine: Machine = .current, libraries: LibavDescription = FFmpeg.libraries, onnxruntime: String?
    ) -> SystemReport {
        var report = SystemReport()
        report.add(machine)
        report.addRuntime(onnxruntime)
        report.add(libraries)
        report.addAvatar()
        report.addSpeechProgram()
        return report
    }

    private mutating func add(_ machine: Machine) {
        let name = machine.processor.map { ", \($0)" } ?? ""
        if let quota = machine.quota, quota < Double(machine.cores) {
            add(
                "cores", .warn,
                "\(machine.cores)\(name); the container may use the time of \(String(format: "%.1f", quota))",
                "Give --threads \(max(1, Int(quota))) to render, stream and serve, or give the container more.")
        } else {
            add("cores", .good, "\(machine.cores)\(name)")
        }
        let isFast = !Set(machine.instructions).isDisjoint(with: ["avx2", "asimd"])
        let isInt8 = !Set(machine.instructions).isDisjoint(with: ["avx_vnni", "avx512_vnni", "asimddp"])
        if machine.instructions.isEmpty {
            add("instructions", .skipped, "not known on this system")
        } else {
            let list = machine.instructions.joined(separator: " ")
            add(
                "instructions", isFast ? .good : .warn,
                "\(list); models in int8 are \(isInt8 ? "fast (VNNI or dot products)" : "not faster (no VNNI)")",
                isFast ? nil : "Without AVX2 a render is several times slower.")
        }
        let gigabytes = { (bytes: Int) in String(format: "%.1f GB", Double(bytes) / 1e9) }
        let free = machine.available ?? machine.memory
        add(
            "memory", free < 500_000_000 ? .warn : .good,
            "\(gigabytes(machine.memory))" + (machine.available.map { ", \(gigabytes($0)) of it free" } ?? ""),
            free < 500_000_000 ? "A render takes about 250 MB, a server 500 MB and more: end something else." : nil)
    }

    private mutating func addRuntime(_ path: String?) {
        do {
            let library = try ONNXRuntimeLibrary(path: path)
            let providers = try library.providers()
            let known = ExecutionProvider.allCases.filter { providers.contains($0.nativeName) }.map(\.rawValue)
            add(
                "ONNX Runtime", .good,
                "\(library.version) at \(library.path); --provider \(known.joined(separator: ", "))")
        } catch let error as VisemeError {
            add("ONNX Runtime", .bad, error.message, error.hint)
        } catch {
            add("ONNX Runtime", .bad, "\(error)")
        }
    }

    private mutating func add(_ libraries: LibavDescription) {
        var missing: [String] = []
        if !libraries.hasX264 { missing.append("libx264 (no video is written, only PNG images)") }
        if !libraries.hasAAC { missing.append("the AAC encoder") }
        if !libraries.hasSoxr { missing.append("soxr (speech must have 16000 Hz)") }
        guard !missing.isEmpty else {
            return add("libav*", .good, "\(libraries.version); libx264, aac, soxr")
        }
        #if os(macOS)
            let advice = "Install an FFmpeg that has them: brew install ffmpeg"
        #else
            let advice =
                "Install an FFmpeg that has them: sudo apt-get install libavcodec-extra; on Fedora ffmpeg-libs of RPM Fusion."
        #endif
        add("libav*", .bad, "\(libraries.version) without \(missing.joined(separator: ", "))", advice)
    }

    private mutating func addAvatar() {
        do {
            var options = EngineOptions()
            options.avatar = "robin"
            let avatar = try options.openAvatar()
            let size = "\(avatar.manifest.width)×\(avatar.manifest.height)"
            add("avatar", .good, "\(avatar.manifest.name), \(size), at \(avatar.url.path)")
        } catch let error as VisemeError {
            add("avatar", .warn, error.message, error.hint)
        } catch {
            add("avatar", .warn, "\(error)")
        }
    }

    private mutating func addSpeechProgram() {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let found = ["espeak-ng", "flite"].first { name in
            folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") }
        }
        if let found {
            add("text-to-speech", .good, "\(found), for texts that are sent to viseme serve")
        } else {
            add(
                "text-to-speech", .warn, "no espeak-ng and no flite: viseme serve speaks sound, not text",
                "sudo apt-get install espeak-ng, or brew install espeak-ng")
        }
    }

    private mutating func add(
        _ subject: String, _ outcome: DoctorReport.Outcome, _ message: String, _ advice: String? = nil
    ) {
        findings.append(Finding(subject: subject, outcome: outcome, message: message, advice: advice))
    }
}
