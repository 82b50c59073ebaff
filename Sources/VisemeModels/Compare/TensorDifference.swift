import Foundation

/// How far two lists of numbers are apart.
public struct TensorDifference: Sendable, Codable, Equatable {
    /// Which tensor.
    public var name: String
    /// Elements compared.
    public var count: Int
    /// Largest absolute difference; infinite when only one side is a number somewhere.
    public var maximum: Double
    /// Mean absolute difference.
    public var mean: Double
    /// Largest absolute difference over the largest absolute value of the first.
    public var relative: Double
    /// Cosine of the angle between them; 1 when both are zero.
    public var cosine: Double
    /// Pearson correlation; nil when one of them is constant.
    public var correlation: Double?
    /// Peak signal-to-noise ratio in dB, the first one's range as the peak; nil when they are equal.
    public var psnr: Double?
    /// Standard deviation of the second over that of the first; nil when the first is constant.
    public var scaleRatio: Double?
    /// The index of the largest difference, and both values there.
    public var worstIndex: Int
    /// Both values at `worstIndex`.
    public var worstValues: [Double]

    /// Compares `a` with `b`, which have the same length, at least 1.
    public init(_ name: String, _ a: [Float], _ b: [Float]) {
        precondition(a.count == b.count && !a.isEmpty, "\(name): \(a.count) and \(b.count) elements")
        var (worst, sum) = (-1.0, 0.0)
        var (sumA, sumB, squareA, squareB, product, error) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        var (low, high) = (Double(a[0]), Double(a[0]))
        worstIndex = 0
        for i in a.indices {
            let (x, y) = (Double(a[i]), Double(b[i]))
            let difference = a[i] == b[i] || x.isNaN && y.isNaN ? 0 : (x - y).isFinite ? abs(x - y) : .infinity
            if difference > worst { (worst, worstIndex) = (difference, i) }
            sum += difference
            error += difference * difference
            guard x.isFinite, y.isFinite else { continue }
            sumA += x
            sumB += y
            squareA += x * x
            squareB += y * y
            product += x * y
            low = min(low, x)
            high = max(high, x)
        }
        let n = Double(a.count)
        self.name = name
        count = a.count
        maximum = worst
        mean = sum / n
        let peak = max(abs(low), abs(high))
        relative = worst == 0 ? 0 : peak > 0 ? worst / peak : .infinity
        cosine =
            squareA == 0 && squareB == 0
            ? 1 : squareA == 0 || squareB == 0 ? 0 : product / (squareA * squareB).squareRoot()
        let (varianceA, varianceB) = (
            max(0, squareA / n - sumA / n * (sumA / n)), max(0, squareB / n - sumB / n * (sumB / n))
        )
        let isVaried =
            varianceA > 1e-14 * squareA / n && varianceB > 1e-14 * squareB / n && varianceA > 0 && varianceB > 0
        correlation = isVaried ? (product / n - sumA / n * (sumB / n)) / (varianceA * varianceB).squareRoot() : nil
        scaleRatio = varianceA > 0 ? (varianceB / varianceA).squareRoot() : nil
        psnr = error == 0 ? nil : 10 * log10(max(high - low, .leastNormalMagnitude) * (high - low) / (error / n))
        worstValues = [Double(a[worstIndex]), Double(b[worstIndex])]
    }

    /// Whether every element of the second is within `absolute + relative · |first|`, judged by the largest difference.
    public func isWithin(absolute: Double, relative: Double) -> Bool {
        maximum <= absolute + relative * abs(worstValues[0]) || maximum == 0
    }

    /// What a ratio of sizes means here, where it could mislead: numbers that do not correlate have no scale factor.
    public var remark: String? {
        guard let correlation, let scaleRatio, abs(correlation) < 0.3, maximum > 0 else { return nil }
        return
            "one is \(Self.text(scaleRatio)) times as large as the other, but that is not a scale: they are unrelated "
            + "(correlation \(Self.text(correlation)))"
    }

    /// A number with three significant digits.
    static func text(_ value: Double) -> String { String(format: "%.3g", value) }

    /// One line: name, largest and mean difference, correlation, PSNR, the worst element.
    public var line: String {
        var parts = ["\(name): max \(Self.text(maximum)), mean \(Self.text(mean)), relative \(Self.text(relative))"]
        parts.append("cosine \(String(format: "%.6f", cosine))")
        if let correlation { parts.append("r \(String(format: "%.6f", correlation))") }
        if let psnr { parts.append("\(String(format: "%.1f", psnr)) dB") }
        if maximum > 0 { parts.append("worst [\(worstIndex)] \(worstValues[0]) against \(worstValues[1])") }
        return parts.joined(separator: ", ")
    }
}
