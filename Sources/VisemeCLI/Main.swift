import ArgumentParser
import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#endif

/// `viseme`: the commands, and how their errors become exit codes.
@main
struct VisemeCommand: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "viseme",
        abstract: "An avatar pack + any speech → a talking-head video.",
        version: version,
        subcommands: [
            RenderCommand.self, FeaturesCommand.self, AvatarCommand.self, InspectCommand.self, ConvertCommand.self,
            CompareCommand.self, DoctorCommand.self,
        ])

    static func main() async {
        #if canImport(Glibc)
            // glibc raises this threshold as it sees big buffers come and go, and then keeps them in its arenas for ever:
            // a render's memory would grow with its length. Frames go back to the system instead.
            // Swift's Glibc module lacks malloc.h: M_MMAP_THRESHOLD is -3.
            typealias Mallopt = @convention(c) (CInt, CInt) -> CInt
            if let symbol = dlsym(nil, "mallopt") { _ = unsafeBitCast(symbol, to: Mallopt.self)(-3, 128 << 10) }
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
        default: 70
        }
    }
}
