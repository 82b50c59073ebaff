#if canImport(SwiftUI)
    import SwiftUI
    import Talking
    import UniformTypeIdentifiers

    /// Robin speaks a file, or what the microphone hears.
    @main
    struct TalkingApp: App {
        var body: some Scene {
            WindowGroup("Viseme") { TalkingView() }
        }
    }

    struct TalkingView: View {
        @State private var model = TalkingModel()
        @State private var isChoosing = false

        var body: some View {
            VStack(spacing: 12) {
                Group {
                    if let picture = model.picture {
                        Image(decorative: picture, scale: 1).resizable().aspectRatio(contentMode: .fit)
                            .accessibilityLabel(model.isSpeaking ? "The avatar speaks" : "The avatar listens")
                    } else {
                        ProgressView("Loading the avatar")
                    }
                }
                .frame(maxWidth: .infinity, maxHeight: .infinity)
                if let problem = model.problem { Text(problem).foregroundStyle(.red).textSelection(.enabled) }
                HStack {
                    Button("Speak a file …", systemImage: "waveform") { isChoosing = true }
                    Button(
                        model.isListening ? "Stop listening" : "Speak after me",
                        systemImage: model.isListening ? "mic.slash" : "mic"
                    ) { Task { await model.toggleMicrophone() } }
                    Button("Be silent", systemImage: "stop") { Task { await model.stop() } }
                        .keyboardShortcut(.cancelAction)
                }
                .disabled(model.picture == nil)
            }
            .padding()
            .frame(minWidth: 480, minHeight: 360)
            .task { await model.run() }
            .fileImporter(isPresented: $isChoosing, allowedContentTypes: [.audio, .movie]) { chosen in
                Task { await model.speak(chosen) }
            }
        }
    }
#endif
