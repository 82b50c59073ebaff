public import Foundation
public import Viseme

/// The report as one HTML file: figures with what they should be, plots as inline SVG, pictures inside. It needs no network.
public struct ReportPage: Sendable {
    private let report: AvatarReport
    private let png: @Sendable (Image) throws -> Data

    /// Makes a page.
    ///
    /// - Parameter png: Encodes a picture.
    public init(_ report: AvatarReport, png: @escaping @Sendable (Image) throws -> Data) {
        (self.report, self.png) = (report, png)
    }

    /// The page's text.
    public func html() throws -> String {
        let subject = report.subject
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
            <title>\(Self.escaped(subject.avatar)): report</title>
            <style>\(Self.style)</style></head><body>
            <h1>\(Self.escaped(subject.avatar))</h1>
            <p>The sound of <b>\(Self.escaped(subject.clip))</b> drives the avatar; its mouth is compared with the filmed one in
            \(subject.measured) of \(subject.frames) frames: those in which somebody speaks and looks at the lens.
            The face is \(Int(subject.face.rounded())) pixels wide\(scaling). docs/your-own-avatar.md says what each figure means and what to do.</p>
            \(table)
            \(notes)
            \(try pictures())
            <h2>The mouth over time</h2>
            <p>Opening of the lips in shares of the face's width.</p>
            \(opening.svg)
            <p>Distance of the corners of the mouth, in the same unit.</p>
            \(width.svg)
            <h2>Sound and picture</h2>
            <p>Correlation of drawn and filmed opening when one of them is moved by so many frames. The top belongs at 0.</p>
            \(lag.svg)
            <h2>Likeness over time</h2>
            <p>PSNR inside the mask in dB, frame by frame.</p>
            \(psnr.svg)
            <p>Sharpness around the mouth, drawn against filmed; 1 is as sharp as the film.</p>
            \(texture.svg)
            </body></html>

            """
    }

    private var scaling: String {
        let scale = report.subject.scale
        return abs(scale - 1) < 0.001 ? "" : " (the clip was resized by \(Self.number(scale)))"
    }

    private var table: String {
        let rows = report.judged.map { row in
            "<tr class=\"\(row.grade.rawValue)\"><td>\(Self.escaped(row.name))</td><td>\(Self.escaped(row.value))</td>"
                + "<td>\(Self.escaped(row.wanted))</td><td>\(Self.escaped(row.meaning))</td></tr>"
        }
        return "<table><tr><th>Figure</th><th>Found</th><th>Good</th><th>What it is</th></tr>\(rows.joined())</table>"
    }

    private var notes: String {
        report.notes.isEmpty ? "" : "<ul>\(report.notes.map { "<li>\(Self.escaped($0))</li>" }.joined())</ul>"
    }

    private func pictures() throws -> String {
        let names = ["filmed", "drawn", "silence", "wrong sound"]
        let rows = try zip(names, report.pictures).filter { !$0.1.isEmpty }.map { name, images in
            let pictures = try images.map { image in
                let small = Sampling.shrink(
                    image, to: PixelSize(width: max(1, image.width / 2), height: max(1, image.height / 2)))
                return "<img alt=\"\(name)\" src=\"data:image/png;base64,\(try png(small).base64EncodedString())\">"
            }
            return "<div class=\"row\"><span>\(name)</span>\(pictures.joined())</div>"
        }
        return rows.isEmpty ? "" : "<h2>Pictures</h2>\(rows.joined())"
    }

    private var seconds: [Double] { report.frames.map { Double($0.frame) / 25 } }

    private var opening: LinePlot {
        LinePlot(
            x: seconds,
            lines: [
                .init("filmed", report.frames.map(\.filmedOpening), "#222"),
                .init("drawn", report.frames.map(\.drawnOpening), "#d33"),
                .init("wrong sound", report.frames.map(\.wrongOpening), "#9ab"),
            ], label: "s")
    }

    private var width: LinePlot {
        LinePlot(
            x: seconds,
            lines: [
                .init("filmed", report.frames.map(\.filmedWidth), "#222"),
                .init("drawn", report.frames.map(\.drawnWidth), "#d33"),
            ], label: "s")
    }

    private var lag: LinePlot {
        let lag = report.figures.lag
        let reach = lag.curve.count / 2
        return LinePlot(
            x: lag.curve.indices.map { Double($0 - reach) },
            lines: [.init("r", lag.curve.map { $0 ?? 0 }, "#d33")], label: "frames",
            band: lag.low...max(lag.low, lag.high),
            joins: .infinity)
    }

    private var psnr: LinePlot {
        LinePlot(x: seconds, lines: [.init("drawn", report.frames.map(\.psnr), "#d33")], label: "s")
    }

    private var texture: LinePlot {
        LinePlot(
            x: seconds,
            lines: [
                .init(
                    "drawn / filmed",
                    report.frames.map { $0.filmedTexture > 0 ? $0.drawnTexture / $0.filmedTexture : 0 }, "#d33")
            ], label: "s")
    }

    static func number(_ value: Double) -> String { String(format: abs(value) < 10 ? "%.3g" : "%.1f", value) }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    private static let style = """
        body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#222}
        table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd}
        tr.good td:nth-child(2){color:#197a33}tr.fair td:nth-child(2){color:#9a6700}tr.poor td:nth-child(2){color:#c62828}
        td:nth-child(2){font-weight:600;white-space:nowrap}td:nth-child(3){white-space:nowrap}
        .row{display:flex;gap:2px;align-items:center;margin:2px 0}.row span{width:5rem;flex:none;font-size:13px}
        .row img{flex:1 1 0;min-width:0;max-width:12%}svg{width:100%;height:auto;display:block}
        """
}

/// Lines over one axis as SVG.
struct LinePlot {
    struct Line {
        var name: String
        var values: [Double]
        var colour: String

        init(_ name: String, _ values: [Double], _ colour: String) {
            (self.name, self.values, self.colour) = (name, values, colour)
        }
    }

    private static let width = 960.0, height = 220.0, left = 48.0, bottom = 24.0, top = 12.0

    var x: [Double]
    var lines: [Line]
    /// The unit of x.
    var label: String
    /// A range of x that is shaded.
    var band: ClosedRange<Double>?
    /// Points farther apart than this are not joined: something between them was not measured.
    var joins = 0.06

    var svg: String {
        let all = lines.flatMap(\.values).filter(\.isFinite)
        guard let first = x.first, let last = x.last, let low = all.min(), let high = all.max(), x.count > 1 else {
            return "<p>There is too little to plot.</p>"
        }
        let (bottomValue, topValue) = (low, high > low ? high : low + 1)
        func across(_ value: Double) -> Double {
            Self.left + (value - first) / max(last - first, 1e-9) * (Self.width - Self.left - 8)
        }
        func up(_ value: Double) -> Double {
            let share = (value - bottomValue) / (topValue - bottomValue)
            return Self.height - Self.bottom - share * (Self.height - Self.bottom - Self.top)
        }
        func point(_ a: Double, _ b: Double) -> String { String(format: "%.1f %.1f", a, b) }
        var parts = [
            "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" font-size=\"11\" fill=\"#666\">"
        ]
        if let band {
            let (from, to) = (across(max(first, band.lowerBound)), across(min(last, band.upperBound)))
            parts.append(
                "<rect x=\"\(String(format: "%.1f", from))\" y=\"\(Int(Self.top))\" width=\"\(String(format: "%.1f", max(1, to - from)))\" "
                    + "height=\"\(Int(Self.height - Self.bottom - Self.top))\" fill=\"#fde8e8\"/>")
        }
        for step in 0...4 {
            let value = bottomValue + (topValue - bottomValue) * Double(step) / 4
            let y = String(format: "%.1f", up(value))
            parts.append("<path d=\"M\(Int(Self.left)) \(y)H\(Int(Self.width - 8))\" stroke=\"#e5e5e5\"/>")
            parts.append(
                "<text x=\"\(Int(Self.left - 4))\" y=\"\(y)\" dy=\"4\" text-anchor=\"end\">\(ReportPage.number(value))</text>"
            )
            let place = first + (last - first) * Double(step) / 4
            parts.append(
                "<text x=\"\(String(format: "%.1f", across(place)))\" y=\"\(Int(Self.height - 8))\" text-anchor=\"middle\">"
                    + "\(ReportPage.number(place)) \(label)</text>")
        }
        for (number, line) in lines.enumerated() {
            var path = ""
            for (k, value) in line.values.enumerated() where value.isFinite {
                let joined = k > 0 && x[k] - x[k - 1] <= joins && line.values[k - 1].isFinite
                path += (joined ? "L" : "M") + point(across(x[k]), up(value))
            }
            parts.append("<path d=\"\(path)\" fill=\"none\" stroke=\"\(line.colour)\" stroke-width=\"1.5\"/>")
            parts.append(
                "<text x=\"\(Int(Self.left) + 8 + number * 110)\" y=\"11\" fill=\"\(line.colour)\">\(ReportPage.escaped(line.name))</text>"
            )
        }
        return parts.joined() + "</svg>"
    }
}
