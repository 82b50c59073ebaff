/// The largest movement of a mouth over some speech, found in its pictures: the first principal component.
///
/// In a talking head that is how far the mouth is open; no landmark is needed, and none can be wrong.
struct Articulation {
    private let mean: [Float]
    private let direction: [Float]

    /// Finds the movement in pictures of one template frame.
    init(of mouths: [[Float]]) {
        let count = mouths.count
        var mean = [Float](repeating: 0, count: mouths.first?.count ?? 0)
        for mouth in mouths { for i in mean.indices { mean[i] += mouth[i] / Float(count) } }
        let moved = mouths.map { mouth in mean.indices.map { mouth[$0] - mean[$0] } }
        // Power iteration on the pictures' scalar products, which are few.
        let products = moved.map { a in moved.map { b in Self.product(a, b) } }
        var weights = (0..<count).map { 1 + 0.01 * Double($0) }
        for _ in 0..<200 {
            let next = products.map { row in zip(row, weights).reduce(0) { $0 + $1.0 * $1.1 } }
            let length = next.reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard length > 0 else { break }
            weights = next.map { $0 / length }
        }
        var direction = [Float](repeating: 0, count: mean.count)
        for (picture, weight) in zip(moved, weights) {
            for i in direction.indices { direction[i] += picture[i] * Float(weight) }
        }
        self.mean = mean
        self.direction = direction
    }

    /// How well two series of the same moments agree in this movement: Pearson's r.
    func correlation(with a: [[Float]], and b: [[Float]]) -> Double {
        let (x, y) = (a.map(position), b.map(position))
        let (mx, my) = (x.reduce(0, +) / Double(x.count), y.reduce(0, +) / Double(y.count))
        var (xy, xx, yy) = (0.0, 0.0, 0.0)
        for (p, q) in zip(x, y) {
            xy += (p - mx) * (q - my)
            xx += (p - mx) * (p - mx)
            yy += (q - my) * (q - my)
        }
        return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : 0
    }

    private func position(_ mouth: [Float]) -> Double {
        var sum = 0.0
        for i in mean.indices { sum += Double((mouth[i] - mean[i]) * direction[i]) }
        return sum
    }

    private static func product(_ a: [Float], _ b: [Float]) -> Double {
        var sum = 0.0
        for i in a.indices { sum += Double(a[i] * b[i]) }
        return sum
    }
}
