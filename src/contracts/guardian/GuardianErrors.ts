import { ApiError } from "../ApiError.ts"

export class SessionNotFound extends ApiError("SessionNotFound", "session_not_found") {}

/** A session of that name was started before: a name is used once. */
export class SessionExists extends ApiError("SessionExists", "session_exists") {}

/** The session has ended, so that it cannot be kept alive. */
export class SessionOver extends ApiError("SessionOver", "session_over") {}

export class CertificateNotFound extends ApiError("CertificateNotFound", "certificate_not_found") {}

export class BadgeNotFound extends ApiError("BadgeNotFound", "badge_not_found") {}
