#if canImport(AVFoundation)
    import AVFoundation
    import Viseme

    /// Plays units of mono sound at 16 kHz, one after the other.
    @MainActor
    final class Player {
        private let engine = AVAudioEngine()
        private let node = AVAudioPlayerNode()
        private let format = AVAudioFormat(standardFormatWithSampleRate: 16_000, channels: 1)

        /// - Throws: what the audio engine throws.
        func start() throws {
            #if os(iOS)
                let session = AVAudioSession.sharedInstance()
                // Without it the microphone would hear the avatar.
                try session.setCategory(.playAndRecord, mode: .voiceChat, options: [.defaultToSpeaker])
                try session.setActive(true)
            #endif
            engine.attach(node)
            engine.connect(node, to: engine.mainMixerNode, format: format)
            try engine.start()
            node.play()
        }

        func play(_ sound: [Float]) {
            guard let format, let count = AVAudioFrameCount(exactly: sound.count), count > 0,
                let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: count),
                let channel = buffer.floatChannelData?[0]
            else { return }
            buffer.frameLength = count
            for (i, sample) in sound.enumerated() { channel[i] = sample }
            node.scheduleBuffer(buffer)
        }

        func stop() {
            node.stop()
            engine.stop()
        }
    }

    /// The microphone as mono samples at 16 kHz.
    @MainActor
    final class Microphone {
        private let engine = AVAudioEngine()
        private var continuation: AsyncStream<[Float]>.Continuation?

        /// Begins to listen.
        ///
        /// - Throws: `.unavailable` when the person does not allow it, and without a microphone.
        func start() async throws -> AsyncStream<[Float]> {
            guard await AVCaptureDevice.requestAccess(for: .audio) else {
                throw VisemeError(
                    .unavailable, "The app may not use the microphone", hint: "Allow it in the system's settings.")
            }
            let input = engine.inputNode
            let given = input.outputFormat(forBus: 0)
            guard given.sampleRate > 0,
                let wanted = AVAudioFormat(
                    commonFormat: .pcmFormatFloat32, sampleRate: 16_000, channels: 1, interleaved: false),
                let converter = AVAudioConverter(from: given, to: wanted)
            else { throw VisemeError(.unavailable, "There is no microphone") }
            let (samples, continuation) = AsyncStream<[Float]>.makeStream()
            self.continuation = continuation
            input.installTap(onBus: 0, bufferSize: 1024, format: given) { buffer, _ in
                if let chunk = Self.convert(buffer, converter, wanted) { continuation.yield(chunk) }
            }
            try engine.start()
            return samples
        }

        /// On the audio thread.
        private nonisolated static func convert(
            _ buffer: AVAudioPCMBuffer, _ converter: AVAudioConverter, _ wanted: AVAudioFormat
        ) -> [Float]? {
            let count =
                AVAudioFrameCount((Double(buffer.frameLength) * 16_000 / buffer.format.sampleRate).rounded(.up)) + 16
            guard let out = AVAudioPCMBuffer(pcmFormat: wanted, frameCapacity: count) else { return nil }
            var isGiven = false
            converter.convert(to: out, error: nil) { _, status in
                status.pointee = isGiven ? .noDataNow : .haveData
                defer { isGiven = true }
                return isGiven ? nil : buffer
            }
            guard out.frameLength > 0, let channel = out.floatChannelData?[0] else { return nil }
            return Array(UnsafeBufferPointer(start: channel, count: Int(out.frameLength)))
        }

        func stop() {
            engine.inputNode.removeTap(onBus: 0)
            engine.stop()
            continuation?.finish()
            continuation = nil
        }
    }
#endif
