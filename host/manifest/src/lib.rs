//! The manifest model, its templates, host patterns, checks and their messages.
