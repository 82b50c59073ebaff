/// Keeps what the mouth hears and the sound of an utterance together: of either, only what the other has is let through.
///
/// Resamplers hold back unequal lengths. Without this a pause would end the mouth's part before the sound's.
struct Lockstep: Sendable {
    private let rates: (samples: Int, sound: Int)
    private let channels: Int
    private var samples: [Float] = []
    private var sound: [Float] = []
    /// What was let through: samples, and samples of each channel.
    private var taken = (samples: 0, sound: 0)

    /// Begins an utterance.
    ///
    /// - Parameters:
    ///   - rate: Samples per second of what the mouth hears.
    ///   - form: The form of the sound.
    init(rate: Int, form: AudioFormat) {
        rates = (rate, form.rate)
        channels = form.channels
    }

    /// Whether anything is held back.
    var isHolding: Bool { !samples.isEmpty || !sound.isEmpty }

    /// Adds what came, and takes what goes on.
    mutating func pass(_ newSamples: [Float], sound newSound: [Float]) -> (samples: [Float], sound: [Float]) {
        samples += newSamples
        sound += newSound
        let heard = (taken.sound + sound.count / channels) * rates.samples / rates.sound
        let until = max(taken.samples, min(taken.samples + samples.count, heard))
        let soundUntil = max(
            taken.sound,
            min(taken.sound + sound.count / channels, (until * rates.sound + rates.samples - 1) / rates.samples))
        let (count, values) = (until - taken.samples, (soundUntil - taken.sound) * channels)
        taken = (until, soundUntil)
        defer {
            samples.removeFirst(count)
            sound.removeFirst(values)
        }
        return (Array(samples.prefix(count)), Array(sound.prefix(values)))
    }

    /// Takes the rest and begins another utterance.
    mutating func flush() -> (samples: [Float], sound: [Float]) {
        defer { (samples, sound, taken) = ([], [], (0, 0)) }
        return (samples, sound)
    }
}
