//! The life of a connection: sign in, test, refresh, disconnect, call.
