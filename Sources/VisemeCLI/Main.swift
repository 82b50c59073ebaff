import ArgumentParser
import Foundation
import Viseme
import VisemeServer

#if canImport(Glibc)
    import Glibc
#endif

/// `viseme`: the commands, and how their errors become exit codes.
@main
struct VisemeCommand: AsyncParsableCommand {
    static let version = Server.version

    static let configuration = CommandConfiguration(
        commandName: "viseme",
        abstract: "An avatar pack + any speech → a talking-head video.",
        version: version,
        subcommands: [
            RenderCommand.self, StreamCommand.self, ServeCommand.self, FeaturesCommand.self, VisemesCommand.self,
            AvatarCommand.self,
            InspectCommand.self, ConvertCommand.self, CompareCommand.self, DoctorCommand.self, BenchCommand.self,
        ])

    static func main() async {
        Terminal.openStandardStreams()
        #if canImport(Glibc)
            // Left alone, glibc keeps big buffers in one arena a thread, and a render's memory grows with its length; mapped
            // one by one, the kernel clears them again for every frame: a fifth of all processor time. One arena that keeps
            // what is freed does neither.
            // Swift's Glibc module lacks malloc.h: M_ARENA_MAX is -8, M_MMAP_THRESHOLD -3 and M_TRIM_THRESHOLD -1.
            typealias Mallopt = @convention(c) (CInt, CInt) -> CInt
            if let symbol = dlsym(nil, "mallopt") {
                let mallopt = unsafeBitCast(symbol, to: Mallopt.self)
                for (option, value) in [(-8, 1), (-3, 32 << 20), (-1, 64 << 20)] as [(CInt, CInt)] {
                    _ = mallopt(option, value)
                }
            }
        #endif
        do {
            try await Interrupt.cancelling {
                var command = try parseAsRoot()
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    try command.run()
                }
            }
        } catch let error as VisemeError {
            Terminal.print("error: \(error)")
            Foundation.exit(error.code.exitStatus)
        } catch is CancellationError {
            Terminal.print("interrupted: nothing was left under the output's name")
            Foundation.exit(130)
        } catch {
            exit(withError: error)
        }
    }
}

extension VisemeError.Code {
    /// The exit status of BSD's sysexits.h that says the same.
    var exitStatus: Int32 {
        switch self {
        case .usage: 64
        case .badData, .unsupported: 65
        case .noInput: 66
        case .unavailable: 69
        case .cannotCreate: 73
        case .cannotWrite: 74
        default: 70
        }
    }
}
