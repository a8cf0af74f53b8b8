use super::super::frame::{Raw, Tree};
use super::*;

const STORE: StoreId = StoreId([7; 16]);

fn frame(sequence: u64) -> Frame {
    Frame {
        first: sequence,
        last: sequence,
        changes: vec![Raw {
            tree: Tree::Rows,
            key: sequence.to_be_bytes().to_vec(),
            value: Some(vec![0xab; 20]),
        }],
    }
}

fn append(journal: &mut Journal, frame: &Frame) {
    assert!(journal.append(&frame.encode().unwrap()).is_ok());
}

/// A journal with frames 1, 2, 3 in one segment; gives the segment's path.
fn three() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), STORE, 1).unwrap();
    for sequence in 1..=3 {
        append(&mut journal, &frame(sequence));
    }
    let path = segment_path(folder.path(), 1);
    (folder, path)
}

#[test]
fn what_was_appended_is_recovered_in_order() {
    let (folder, _) = three();
    let recovered = recover(folder.path(), STORE).unwrap().unwrap();
    assert_eq!(recovered.begins, 1);
    assert_eq!(recovered.torn, 0);
    assert_eq!(recovered.frames, [frame(1), frame(2), frame(3)]);
}

#[test]
fn a_tail_torn_at_any_byte_keeps_every_frame_before_it() {
    let (folder, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let size = frame(1).encode().unwrap().len();
    for len in HEADER..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        let recovered = recover(folder.path(), STORE).unwrap().unwrap();
        let kept = (len - HEADER) / size;
        assert_eq!(recovered.frames.len(), kept, "cut to {len}");
        let torn = u64::try_from((len - HEADER) % size).unwrap();
        assert_eq!(recovered.torn, torn, "cut to {len}");
    }
}

#[test]
fn zeros_that_a_power_cut_left_at_the_end_are_a_torn_tail() {
    let (folder, path) = three();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0; 4096]);
    std::fs::write(&path, bytes).unwrap();
    let recovered = recover(folder.path(), STORE).unwrap().unwrap();
    assert_eq!((recovered.frames.len(), recovered.torn), (3, 4096));
}

#[test]
fn a_bit_flipped_before_a_good_frame_is_refused_and_never_skipped() {
    let (folder, path) = three();
    let whole = std::fs::read(&path).unwrap();
    let last = whole.len() - frame(3).encode().unwrap().len();
    for byte in 0..last {
        let mut changed = whole.clone();
        changed[byte] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let refused = recover(folder.path(), STORE);
        assert!(
            matches!(refused, Err(StoreError::Corrupt(_))),
            "byte {byte}"
        );
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_refused() {
    let (folder, first) = three();
    let kept = std::fs::read(&first).unwrap();
    let mut journal = Journal::begin(folder.path(), STORE, 6).unwrap();
    append(&mut journal, &frame(6));
    std::fs::write(&first, kept).unwrap();
    assert!(matches!(
        recover(folder.path(), STORE),
        Err(StoreError::Corrupt(_))
    ));
}

#[test]
fn two_segments_that_follow_each_other_are_one_journal() {
    let (folder, first) = three();
    let kept = std::fs::read(&first).unwrap();
    let mut journal = Journal::begin(folder.path(), STORE, 4).unwrap();
    assert!(
        !first.exists(),
        "the older segment goes when a newer begins"
    );
    append(&mut journal, &frame(4));
    // As if the process had ended before removing it.
    std::fs::write(&first, kept).unwrap();
    let recovered = recover(folder.path(), STORE).unwrap().unwrap();
    assert_eq!(recovered.begins, 1);
    assert_eq!(recovered.frames.len(), 4);
}

#[test]
fn another_stores_journal_is_refused() {
    let (folder, _) = three();
    assert!(matches!(
        recover(folder.path(), StoreId([8; 16])),
        Err(StoreError::Corrupt(_))
    ));
}

#[test]
fn a_segment_that_was_being_made_is_removed() {
    let (folder, _) = three();
    let unfinished = folder.path().join("0000000000000004.wal.new");
    std::fs::write(&unfinished, b"half").unwrap();
    assert!(recover(folder.path(), STORE).unwrap().is_some());
    assert!(!unfinished.exists());
}
