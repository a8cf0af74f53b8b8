//! What only who sees several apps can say of one of them: V09 an id is there twice, V73 a name is.

use std::collections::{HashMap, HashSet};

use keyport_manifest::Manifest;
use keyport_manifest::yaml::Remark;

/// Remarks for each manifest, in the same order; of several with one id or name, all but the first are told.
pub fn compare(manifests: &[Option<&Manifest>]) -> Vec<Vec<Remark>> {
    let mut ids: HashSet<&str> = HashSet::new();
    let mut names: HashMap<String, &str> = HashMap::new();
    let mut all = Vec::new();
    for manifest in manifests {
        let mut remarks = Vec::new();
        if let Some(manifest) = manifest {
            let id = manifest.id.as_str();
            let again = !ids.insert(id);
            if again {
                let message = format!("another of these manifests has the id `{id}` too");
                remarks.push(
                    Remark::error("V09", "id", message).fix("an id names one app and no other"),
                );
            } else {
                let name = manifest.name.trim().to_lowercase();
                if let Some(other) = names.get(&name) {
                    let message = format!("`{other}` is called `{}` too", manifest.name);
                    remarks.push(Remark::note("V73", "name", message));
                } else {
                    names.insert(name, id);
                }
            }
        }
        all.push(remarks);
    }
    all
}
