//! An app with code of its own: the sandbox vendor's signed API.
