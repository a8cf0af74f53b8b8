//! The component that serves every purely declarative app.
