/// The statement that a picture or video was made by a trained model.
enum SyntheticMark {
    /// IPTC's digital source type for media made by a trained algorithm.
    static let sourceType = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    /// The metadata key for it.
    static let key = "DigitalSourceType"
    /// The same as readable text.
    static let comment = "AI-generated: this person's lip movements were made by a trained model."

    /// The XMP packet that carries the source type in an image.
    static func xmp(software: String) -> String {
        """
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
        <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
        xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="\(escaped(software))" \
        Iptc4xmpExt:DigitalSourceType="\(sourceType)"/></rdf:RDF></x:xmpmeta>
        """
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
