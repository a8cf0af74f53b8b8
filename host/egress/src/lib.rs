//! The one door out: allowed hosts, address filter, TLS, limits, credentials, redaction.
