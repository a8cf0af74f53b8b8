//! What is shared between apps, and for how long. The guest is the one that was built when the contract was released.

use std::time::Duration;

use zeroize::Zeroizing;

use super::*;

const WHOLE: &[u8] = include_bytes!("../tests/fixtures/contract-1.0.0/whole.wasm");

fn host(cache: Option<CodeCache>) -> PluginHost {
    PluginHost::new(PluginConfig {
        cache,
        max_concurrent: 4,
        ..PluginConfig::default()
    })
    .unwrap()
}

fn known(host: &PluginHost) -> usize {
    let compiled = host.0.compiled.lock().unwrap();
    compiled
        .values()
        .filter(|known| known.strong_count() > 0)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_apps_load_at_once_is_compiled_once_and_forgotten_with_the_last_of_them() {
    let host = host(None);
    let (one, two, three) = tokio::join!(
        host.load("one", WHOLE),
        host.load("two", WHOLE),
        host.load("three", WHOLE)
    );
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    assert!(Arc::ptr_eq(&one.0._compiled, &two.0._compiled));
    assert!(Arc::ptr_eq(&one.0._compiled, &three.0._compiled));
    assert_eq!(known(&host), 1);
    drop((one, two));
    assert_eq!(known(&host), 1);
    drop(three);
    // An app that is replaced again and again, in development, does not fill the memory.
    assert_eq!(known(&host), 0);
}

#[tokio::test]
async fn a_component_that_does_not_compile_is_told_to_each_that_loads_it_and_leaves_nothing() {
    let host = host(None);
    for _ in 0..2 {
        let refused = host.load("demo", b"not wasm").await.err().unwrap();
        assert!(matches!(refused, PluginError::NotAComponent { .. }));
    }
    assert_eq!(known(&host), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_swapped_is_compiled_anew_and_what_is_loaded_is_never_tidied_away() {
    let dir = tempfile::tempdir().unwrap();
    let config = || CodeCache::new(dir.path().join("compiled"), Zeroizing::new([3; 32]));
    let entry = || {
        let mut all = std::fs::read_dir(dir.path().join("compiled")).unwrap();
        let entry = all.next().unwrap().unwrap().path();
        assert!(all.next().is_none());
        entry
    };
    let load = async || {
        let host = host(Some(config()));
        host.load("whole", WHOLE).await.unwrap();
        host
    };
    load().await;
    let ours = std::fs::read(entry()).unwrap();
    // Somebody with the folder but without the key.
    let mut theirs = ours.clone();
    let last = theirs.len() - 1;
    theirs[last] ^= 1;
    std::fs::write(entry(), &theirs).unwrap();
    let host = load().await;
    let now = std::fs::read(entry()).unwrap();
    assert!(now != theirs, "the swapped entry is still there");
    // In use, although a century went by.
    let later = SystemTime::now() + Duration::from_secs(100 * 365 * 24 * 60 * 60);
    assert_eq!(host.tidy_cache(later).await.removed, 0);
    assert!(entry().is_file());
    // To a host that loads something else it is what nobody has used for long.
    let other = self::host(Some(config()));
    assert_eq!(other.tidy_cache(SystemTime::now()).await.removed, 0);
    assert_eq!(other.tidy_cache(later).await.removed, 1);
}

#[test]
fn one_app_never_has_every_place_and_always_has_one() {
    let places: Vec<usize> = [1, 2, 3, 4, 8, 64].map(per_app).to_vec();
    assert_eq!(places, [1, 2, 3, 3, 6, 48]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_places_of_an_app_are_the_same_in_each_version_of_it_and_go_with_the_last() {
    let host = host(None);
    let (old, new) = (host.load("one", WHOLE).await, host.load("one", WHOLE).await);
    let (old, new) = (old.unwrap(), new.unwrap());
    let other = host.load("two", WHOLE).await.unwrap();
    assert!(Arc::ptr_eq(&old.0.own_permits, &new.0.own_permits));
    assert!(!Arc::ptr_eq(&old.0.own_permits, &other.0.own_permits));
    drop((old, new));
    let _third = host.load("three", WHOLE).await.unwrap();
    assert_eq!(host.0.own_permits.lock().unwrap().len(), 2);
}
