//! What a person typed into a form, checked field by field against the manifest.
//!
//! An empty field may keep what is stored, so that nobody retypes everything to change one thing. Threat: somebody who
//! holds a session changes the *address* of a self-hosted app to their own and leaves the key empty, and the stored key
//! is sent there. So a stored secret is kept only while every field of the app itself stays as it was.

use indexmap::IndexMap;
use keyport_manifest::Field;

use crate::catalogue::AppEntry;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::ConnectionSealed;

/// The app's fields and the method's own, parsed.
pub(crate) struct Typed {
    pub(crate) fields: IndexMap<String, Hidden>,
    pub(crate) credentials: IndexMap<String, Hidden>,
}

/// Parses `typed` for one way to sign in. What is left out is taken from `stored`, where there is one.
pub(crate) fn parse(
    entry: &AppEntry,
    method: &str,
    typed: &IndexMap<String, String>,
    stored: Option<&ConnectionSealed>,
) -> Result<Typed, ConnectError> {
    let auth = entry.method(method)?;
    if let Some(unknown) = typed.keys().find(|key| {
        !entry
            .manifest
            .fields_for(method)
            .any(|field| field.id == **key)
    }) {
        return Err(ConnectError::invalid(
            unknown.clone(),
            format!("{} has no such field", entry.manifest.name),
        ));
    }
    // What decides whether a field is shown: what was typed, else what is stored, else its default.
    let value_of = |id: &str| -> Option<String> {
        let given = typed
            .get(id)
            .map(|text| text.trim())
            .filter(|t| !t.is_empty());
        let kept = || {
            let it = stored?;
            it.fields.get(id).or_else(|| it.credentials.get(id))
        };
        given
            .map(str::to_owned)
            .or_else(|| kept().map(|value| value.expose().to_owned()))
            .or_else(|| {
                let field = entry.manifest.fields_for(method).find(|f| f.id == id)?;
                field.default.clone()
            })
    };
    let fields = section(
        entry.manifest.app_fields(),
        typed,
        stored.map(|it| &it.fields),
        true,
        &value_of,
    )?;
    let same_place = stored.is_some_and(|stored| same(&stored.fields, &fields));
    let credentials = section(
        auth.fields().iter(),
        typed,
        stored.map(|it| &it.credentials),
        same_place,
        &value_of,
    )?;
    Ok(Typed {
        fields,
        credentials,
    })
}

fn section<'m>(
    declared: impl Iterator<Item = &'m Field>,
    typed: &IndexMap<String, String>,
    stored: Option<&IndexMap<String, Hidden>>,
    keep_secrets: bool,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Result<IndexMap<String, Hidden>, ConnectError> {
    let mut values = IndexMap::new();
    for field in declared.filter(|field| field.is_shown(value_of)) {
        let given = typed
            .get(&field.id)
            .map(String::as_str)
            .filter(|text| !text.trim().is_empty());
        let kept = stored
            .and_then(|stored| stored.get(&field.id))
            .filter(|_| keep_secrets || !field.secret);
        let value = match (given, kept) {
            (None, Some(kept)) => kept.clone(),
            (given, _) => Hidden::new(
                field
                    .parse(given.unwrap_or_default())
                    .map_err(|error| ConnectError::invalid(&field.id, error.to_string()))?,
            ),
        };
        if !value.is_empty() {
            values.insert(field.id.clone(), value);
        }
    }
    Ok(values)
}

/// Whether these are the same values.
pub(crate) fn same(a: &IndexMap<String, Hidden>, b: &IndexMap<String, Hidden>) -> bool {
    a.len() == b.len()
        && a.iter().all(|(id, value)| {
            b.get(id)
                .is_some_and(|other| other.expose() == value.expose())
        })
}
