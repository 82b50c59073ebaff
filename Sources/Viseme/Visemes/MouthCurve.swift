/// Mouth shapes at another rate: straight lines between the middles of the frames, held before the first and after the last one.
///
/// A shape comes out as soon as the frame after it is there: the delay is one frame, 40 ms; at the frames' own rate there is none.
struct MouthCurve: Sendable {
    /// Shapes a second, 25…120.
    let rate: Int
    private let frameRate: Int
    private var last: MouthShape?
    private var frames = 0
    private var given = 0

    init(rate: Int, frameRate: Int = 25) {
        self.rate = rate
        self.frameRate = frameRate
    }

    /// Takes the next frame's shape; gives those that lie before its middle.
    mutating func append(_ shape: MouthShape) -> [MouthShape] {
        defer { (last, frames) = (shape, frames + 1) }
        guard rate != frameRate else { return [shape] }
        var shapes: [MouthShape] = []
        while case let place = place(of: given), place <= Double(frames) {
            shapes.append(last?.mixed(with: shape, share: Float(place - Double(frames - 1))) ?? shape)
            given += 1
        }
        return shapes
    }

    /// Ends the speech; gives what lies behind the middle of the last frame.
    mutating func finish() -> [MouthShape] {
        guard let last, rate != frameRate else { return [] }
        let total = (frames * rate + frameRate - 1) / frameRate
        defer { given = total }
        return [MouthShape](repeating: last, count: max(0, total - given))
    }

    /// Where sample `index` lies, counted in frames from the middle of the first one.
    private func place(of index: Int) -> Double {
        (Double(index) + 0.5) / Double(rate) * Double(frameRate) - 0.5
    }
}
