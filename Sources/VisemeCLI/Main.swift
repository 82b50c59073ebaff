import ArgumentParser
import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#endif

/// `viseme`: the commands, and how their errors become exit codes.
@main
struct VisemeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "viseme",
        abstract: "An avatar pack + any speech → a talking-head video.",
        version: Release.version,
        subcommands: [
            RenderCommand.self, JoinCommand.self, StreamCommand.self, FeaturesCommand.self, VisemesCommand.self,
            AvatarCommand.self, ReportCommand.self,
            InspectCommand.self, ConvertCommand.self, CompareCommand.self, DoctorCommand.self, BenchCommand.self,
        ] + server)

    /// What needs the trait `Server`.
    private static var server: [any ParsableCommand.Type] {
        #if Server
            [ServeCommand.self]
        #else
            []
        #endif
    }

    static func main() async {
        Terminal.openStandardStreams()
        Heap.keepWhatIsFreed()
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
