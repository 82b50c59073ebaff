import Synchronization

/// Squares that were drawn for silence, by the frame that drew them.
final class SilentSquares: Sendable {
    private let squares = Mutex<[Int: Image]>([:])

    func square(ofFrame index: Int) -> Image? { squares.withLock { $0[index] } }
    func keep(_ square: Image, ofFrame index: Int) { squares.withLock { $0[index] = square } }
    func forget() { squares.withLock { $0 = [:] } }
}
