import Synchronization

/// Converters of parts of a video's pictures, at rest until the next part of their size.
///
/// Setting one up takes almost as long as converting the surroundings of a mouth.
final class PixelReaders: Sendable {
    private final class Converter: Sendable {
        let width, height: Int
        // Whoever has taken it out of the list is the only one who has it.
        nonisolated(unsafe) var reader: PixelReader

        init(width: Int, height: Int) {
            (self.width, self.height) = (width, height)
            reader = PixelReader(width: width, height: height)
        }
    }

    /// As many as there are frames in work; sizes of squares change from frame to frame, so others are dropped.
    private static let limit = 8

    private let resting = Mutex<[Converter]>([])

    /// Lends a converter of images of one size.
    func with<Result>(width: Int, height: Int, _ body: (inout PixelReader) throws -> Result) throws -> Result {
        let rested = resting.withLock { list in
            list.firstIndex { $0.width == width && $0.height == height }.map { list.remove(at: $0) }
        }
        let converter = rested ?? Converter(width: width, height: height)
        defer {
            resting.withLock { list in
                if list.count == Self.limit { list.removeFirst() }
                list.append(converter)
            }
        }
        return try body(&converter.reader)
    }
}
