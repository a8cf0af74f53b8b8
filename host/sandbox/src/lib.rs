//! A pretend vendor: an OAuth server, API keys and a small API, for development and tests.
