//! Who the app is.
//!
//! V09 the id is the folder's name · V10 versions can be put in order · V61 ids of actions and triggers, and their titles.

use super::Checker;
use crate::yaml::finding::FolderFacts;
use crate::yaml::places::child;

pub(super) fn check(c: &mut Checker<'_>, folder: Option<&FolderFacts>) {
    let id = c.manifest.id.as_str();
    if let Some(folder) = folder
        && !folder.name.is_empty()
        && folder.name != id
    {
        let fix = format!("write `id: {}`, or rename the folder", folder.name);
        c.error(
            "V09",
            "id",
            format!(
                "the app's id is `{id}`, but its folder is `{}`",
                folder.name
            ),
            Some(&fix),
        );
    }
    let manifest = c.manifest;
    if !manifest.version.build.is_empty() {
        c.error(
            "V10",
            "version",
            "build metadata (`+…`) is ignored when versions are compared",
            Some("raise a number instead"),
        );
    }
    let actions = manifest
        .actions
        .iter()
        .map(|(id, a)| ("actions", id, &a.title, &a.description));
    let triggers = manifest
        .triggers
        .iter()
        .map(|(id, t)| ("triggers", id, &t.title, &t.description));
    for (kind, id, title, description) in actions.chain(triggers) {
        let path = child(kind, id);
        if !is_name(id) {
            c.error("V61", &path, format!("`{id}` is not an id"), Some("use lower-case letters, digits and underscores, starting with a letter: `list_notes`"));
        }
        if title.trim().is_empty() {
            c.error("V61", &child(&path, "title"), "the title is empty", None);
        }
        if description.trim().is_empty() {
            c.error(
                "V61",
                &child(&path, "description"),
                "the description is empty",
                None,
            );
        }
    }
}

/// Lower-case letters, digits, underscores; a letter first.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
