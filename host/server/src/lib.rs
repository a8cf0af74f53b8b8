//! The HTTP API, the Apps page, the connect window and connect.js.
