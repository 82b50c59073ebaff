extension Array where Element == Double {
    /// The mean; 0 of none.
    var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }

    /// The deviation; 0 of none.
    var deviation: Double {
        let mean = mean
        return isEmpty ? 0 : (map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(count)).squareRoot()
    }

    var median: Double { percentile(50) }

    /// Between neighbours by their distance, as NumPy does; 0 of none.
    func percentile(_ share: Double) -> Double {
        guard !isEmpty else { return 0 }
        let ordered = sorted()
        let place = share / 100 * Double(count - 1)
        let low = Int(place)
        let high = Swift.min(count - 1, low + 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - Double(low))
    }

    /// Pearson's r with another series of the same length; nil where one of them is constant.
    func correlation(_ other: [Double]) -> Double? {
        let count = Swift.min(count, other.count)
        guard count > 1 else { return nil }
        let (a, b) = (prefix(count), other.prefix(count))
        let (meanA, meanB) = (a.reduce(0, +) / Double(count), b.reduce(0, +) / Double(count))
        var (both, ofA, ofB) = (0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            both += (x - meanA) * (y - meanB)
            ofA += (x - meanA) * (x - meanA)
            ofB += (y - meanB) * (y - meanB)
        }
        // Deviations below 1e−9 are rounding.
        let least = 1e-18 * Double(count)
        return ofA > least && ofB > least ? both / (ofA * ofB).squareRoot() : nil
    }
}
