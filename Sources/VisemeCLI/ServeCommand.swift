#if Server
    import ArgumentParser
    import Foundation
    import Logging
    import ServiceLifecycle
    import Viseme
    import VisemeFFmpeg
    import VisemeModels
    import VisemeONNX
    import VisemeServer

    /// `viseme serve`.
    struct ServeCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "serve",
            abstract: "Serve live sessions, render jobs and a web page over HTTP.",
            discussion: """
                Prints its address once it is ready. Everything that can be set is in docs/server.md: in a JSON file (--config), or \
                in the environment (VISEME_MAX_SESSIONS=4). SIGTERM lets sessions end with complete streams.
                """)

        @OptionGroup var engine: EngineOptions

        @Option(help: "The address to listen on; other than 127.0.0.1 with API keys only.")
        var host: String?

        @Option(help: "The port to listen on; 0 for any free one. 8080 by default.")
        var port: Int?

        @Option(help: ArgumentHelp("A folder with avatar packs; may be repeated.", valueName: "DIR"))
        var avatars: [String] = []

        @Option(help: ArgumentHelp("The folder for render jobs.", valueName: "DIR"))
        var data: String?

        @Option(help: ArgumentHelp("Settings in JSON.", valueName: "FILE"))
        var config: String?

        @Option(help: "How log lines are written to standard error: text or json.")
        var logFormat: LogFormat?

        enum LogFormat: String, ExpressibleByArgument, CaseIterable {
            case text, json

            var setting: ServerConfiguration.LogFormat {
                switch self {
                case .text: .text
                case .json: .json
                }
            }
        }

        @Option(
            help: ArgumentHelp(
                "The lowest level that is logged: debug, info, notice, warning or error. 'info' by default.",
                valueName: "LEVEL"))
        var logLevel: String?

        func run() async throws {
            // A reader that goes away is an error of its connection.
            signal(SIGPIPE, SIG_IGN)
            var settings = try ServerConfiguration.load(
                file: config.map { URL(filePath: $0) }, environment: ProcessInfo.processInfo.environment)
            if let host { settings.host = host }
            if let port { settings.port = port }
            if !avatars.isEmpty { settings.avatars = avatars }
            if let data { settings.data = data }

            if let logFormat { settings.logFormat = logFormat.setting }
            if let logLevel { settings.logLevel = logLevel }
            settings = try settings.checked()

            var logger = Logger(label: "viseme") { [format = settings.logFormat] label in
                switch format {
                case .text: StreamLogHandler.standardError(label: label)
                case .json: JSONLogHandler(label: label)
                }
            }
            // An unknown level was refused above.
            logger.logLevel = Logger.Level(rawValue: settings.logLevel) ?? .info
            let backend = try engine.makeBackend()
            let server = try Server(settings, media: .viseme, logger: logger) { [engine] avatar in
                // The template goes round and round: what is kept of it pays all day.
                try await engine.load(avatar, backend: backend, media: .viseme, memory: 240)
            } examine: { [engine] pack in
                let onnx = try ONNXBackend(libraryPath: engine.onnxruntime)
                let doctor = Doctor(
                    backend: TranslatingBackend(splitting: onnx), runner: onnx, media: FFmpeg.viseme)
                let report = await doctor.examine(packAt: pack)
                let guilty = report.findings.first { $0.outcome == .bad && $0.stage == report.guilty }
                guard let guilty else { return }
                throw VisemeError(
                    .badData, "The pack is not well: \(guilty.stage.rawValue): \(guilty.message)", hint: guilty.advice)
            } onReady: { address in
                Heap.giveBackWhatIsFree()
                // A server whose address cannot be printed serves all the same.
                do { try Terminal.result("Viseme serves at \(address)") } catch { Terminal.print("note: \(error)") }
            }
            var configuration = ServiceGroupConfiguration(services: [server], logger: logger)
            configuration.maximumGracefulShutdownDuration = .seconds(settings.shutdownSeconds)
            let group = ServiceGroup(configuration: configuration)
            // The first signal cancels this command; for a server that means an orderly end.
            let running = Task { try await group.run() }
            try await withTaskCancellationHandler {
                try await running.value
            } onCancel: {
                Task {
                    await server.drain()
                    await group.triggerGracefulShutdown()
                }
            }
        }
    }
#endif
