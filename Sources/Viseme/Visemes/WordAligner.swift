import Foundation

/// Finds when the words of a known text are spoken, from the phones that an articulator hears.
///
/// The most likely path through the text (Viterbi): phones follow one another, a pause may lie between two words, and a phone that
/// is shorter than a frame may be skipped. Times are whole frames of 40 ms.
public struct WordAligner: Sendable {
    /// Paths that are less likely than the best one by this factor (natural logarithm) are given up.
    private static let beam: Float = 90
    /// What it costs to skip a phone.
    private static let skipCost: Float = 3
    /// How much the frequency of a phone in the recording is taken off: what is heard everywhere says little.
    private static let priorShare: Float = 0.5
    /// How likely the path's phone is beside the likeliest one, as the mean of logarithms over the frames of words: below this the
    /// recording says something else. 60 recordings of strangers had −1.58 … −0.46 with their texts, and −2.97 … −1.73 with texts
    /// of the same language and length.
    private static let worstScore: Float = -1.65

    private static let leastLikely: Float = 1e-4

    private struct State {
        let phone: Int
        /// Its word; nil for a pause.
        let word: Int?
    }

    private let words: [SpokenWord]
    private let states: [State]

    /// Prepares a text.
    ///
    /// - Parameter words: Words in order; those without phones are written with the word before.
    /// - Throws: `.badData` when nothing is to be said.
    public init(_ words: [SpokenWord]) throws {
        self.words = words
        var states = [State(phone: 0, word: nil)]
        for (index, word) in words.enumerated() where !word.phones.isEmpty {
            for phone in word.phones {
                states.append(State(phone: Phone.allCases.firstIndex(of: phone).unsafelyUnwrapped, word: index))
            }
            states.append(State(phone: 0, word: nil))
        }
        guard states.count > 1 else { throw VisemeError(.badData, "The text has no words that can be spoken.") }
        self.states = states
    }

    /// When each word is spoken.
    ///
    /// - Parameter shapes: The shapes of the whole recording, one a frame.
    /// - Throws: `.badData` when the recording does not say the text.
    public func align(_ shapes: [MouthShape], frameRate: Int = 25) throws -> [MouthCue<String>] {
        let path = try path(shapes.map(\.phones))
        var spans: [Int: (first: Int, end: Int)] = [:]
        var (sum, count) = (Float(0), Float(0))
        for (frame, state) in path.enumerated() {
            guard let word = states[state].word else { continue }
            spans[word] = (spans[word]?.first ?? frame, frame + 1)
            let heard = shapes[frame].phones
            sum += log(max(heard[states[state].phone], Self.leastLikely) / (heard.max() ?? 1))
            count += 1
        }
        guard count > 0, sum / count > Self.worstScore else { throw Self.otherText }
        var cues: [MouthCue<String>] = []
        var last = 0.0
        for (index, word) in words.enumerated() {
            guard let span = spans[index] else {
                // Nothing to say, or swallowed altogether: written with the word before.
                if cues.isEmpty { continue }
                cues[cues.count - 1].name += " " + word.text
                continue
            }
            last = Double(span.end) / Double(frameRate)
            cues.append(MouthCue(name: word.text, start: Double(span.first) / Double(frameRate), end: last))
        }
        return cues
    }

    private static var otherText: VisemeError {
        VisemeError(
            .badData, "The recording does not say the text.",
            hint: "Check that the text belongs to the recording, word for word, and that its language is right.")
    }

    /// The state of every frame.
    private func path(_ phones: [[Float]]) throws -> [Int] {
        guard !phones.isEmpty else { throw Self.otherText }
        let prior = (0..<Phone.allCases.count).map { phone in
            log(max(phones.reduce(0) { $0 + $1[phone] } / Float(phones.count), 0.003)) * Self.priorShare
        }
        var scores = [Float](repeating: -.infinity, count: states.count)
        var active = 0..<1
        // Steps back to the state before, of the active states of every frame.
        var steps: [(first: Int, back: [UInt8])] = []
        for (frame, heard) in phones.enumerated() {
            let own = heard.indices.map { log(max(heard[$0], Self.leastLikely)) - prior[$0] }
            var (next, back) = ([Float](), [UInt8]())
            // In the first frame the pause before the first word, or that word.
            let reach =
                frame == 0 ? 0..<min(2, states.count) : active.lowerBound..<min(states.count, active.upperBound + 3)
            for state in reach {
                var (best, step) = (-Float.infinity, 0)
                if frame == 0 {
                    best = 0
                } else {
                    for distance in 0...3 where state - distance >= active.lowerBound {
                        guard let cost = cost(from: state - distance, to: state) else { continue }
                        let score = scores[state - distance] - cost
                        if score > best { (best, step) = (score, distance) }
                    }
                }
                next.append(best + own[states[state].phone])
                back.append(UInt8(step))
            }
            for state in active { scores[state] = -.infinity }
            let limit = (next.max() ?? 0) - Self.beam
            let kept = next.indices.filter { next[$0] > limit }
            for index in kept { scores[reach.lowerBound + index] = next[index] }
            steps.append((reach.lowerBound, back))
            guard let first = kept.first, let last = kept.last else { throw Self.otherText }
            active = reach.lowerBound + first..<reach.lowerBound + last + 1
        }
        // It ends with the last phone, or the pause after it.
        guard var state = (max(0, states.count - 2)..<states.count).max(by: { scores[$0] < scores[$1] }),
            scores[state] > -.infinity
        else { throw Self.otherText }
        var path: [Int] = []
        for (first, back) in steps.reversed() {
            path.append(state)
            state -= Int(back[state - first])
        }
        return path.reversed()
    }

    /// What it costs to go from one state to another: nil when that skips too much.
    private func cost(from: Int, to: Int) -> Float? {
        guard to - from > 1 else { return 0 }
        let skipped = states[(from + 1)..<to].count { $0.word != nil }
        return skipped > 1 ? nil : Float(skipped) * Self.skipCost
    }
}
