import HTTPTypes
import Hummingbird
import Viseme

extension Router where Context == ServerContext {
    /// Answers all other methods of declared paths with 405 and `Allow`. `HEAD` is allowed where `GET` is.
    ///
    /// - Precondition: All routes are declared.
    func refuseOtherMethods() {
        let known: [HTTPRequest.Method] = [.get, .post, .put, .patch, .delete, .trace]
        for (path, group) in Dictionary(grouping: routes, by: { "\($0.path)" }) {
            let methods = Set(group.map(\.method))
            let allow = methods.union(methods.contains(.get) ? [.head] : []).map(\.rawValue).sorted().joined(
                separator: ", ")
            for method in known where !methods.contains(method) {
                on(RouterPath(path), method: method) { _, _ -> Response in
                    let failure = FailureDocument.Failure(
                        code: "usage", message: "This address does not have the method \(method)",
                        hint: "It has: \(allow)")
                    var response = Response.json(FailureDocument(error: failure), status: .methodNotAllowed)
                    response.headers[.allow] = allow
                    return response
                }
            }
        }
    }
}
