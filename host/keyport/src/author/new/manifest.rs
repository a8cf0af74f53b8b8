//! A draft as `manifest.yaml`, in the order in which the repository's own manifests are written.

use super::code::Reads;
use super::draft::{Draft, Test};
use super::methods;
use super::yaml::{Writer, inline};

/// The manifest, and its blanks: line and what belongs there.
pub fn write(draft: &Draft) -> (String, Vec<(usize, String)>) {
    let mut w = Writer::default();
    for remark in &draft.remarks {
        w.comment(0, remark);
    }
    w.line(0, "manifest: 1");
    w.pair(0, "id", &draft.id);
    w.pair(0, "name", &draft.name);
    w.line(0, "version: 1.0.0");
    w.said(0, "summary", &draft.summary);
    w.line(0, "links:");
    w.said(1, "home", &draft.home);
    w.said(1, "docs", &draft.docs);
    if let Some(support) = &draft.support {
        w.pair(1, "support", support);
    }
    w.line(
        0,
        match draft.lang {
            Some(_) => "component: component.wasm",
            None => "component: rest",
        },
    );
    if draft.self_hosted {
        w.todo(
            0,
            "people say which host credentials go to; if the vendor's hosts have a fixed ending, give the field `suffixes:` and remove this",
        );
        w.line(0, "self_hosted: true");
    }
    variants(&mut w, draft);
    if !draft.fields.is_empty() {
        w.gap();
        w.line(0, "fields:");
        for field in &draft.fields {
            methods::field(&mut w, 1, field);
        }
    }
    w.gap();
    w.line(0, "api:");
    w.said(1, "base_url", &draft.base_url);
    if !draft.headers.is_empty() {
        w.map(1, "headers", &draft.headers);
    }
    w.gap();
    w.line(0, "auth:");
    for method in &draft.methods {
        methods::write(&mut w, method);
    }
    w.gap();
    match draft.lang {
        Some(_) => coded(&mut w, draft),
        None => test(&mut w, draft),
    }
    w.gap();
    w.line(0, "sources:");
    for source in &draft.sources {
        if let Some(todo) = &source.todo {
            w.todo(1, todo);
        }
        w.line(1, &format!("- {}", super::yaml::block(&source.text)));
    }
    w.finish()
}

fn variants(w: &mut Writer, draft: &Draft) {
    let [first, _, ..] = draft.variants.as_slice() else {
        return;
    };
    w.gap();
    w.line(0, "variants:");
    w.line(1, "label: Environment");
    w.pair(1, "default", &first.id);
    w.line(1, "choices:");
    for variant in &draft.variants {
        let values = inline(&[("host".to_owned(), variant.host.clone())]);
        w.line(2, &format!("{}:", super::yaml::flow(&variant.id)));
        w.pair(3, "label", &variant.label);
        w.line(3, &format!("values: {values}"));
    }
}

/// The test and one action, done by the app's own code.
fn coded(w: &mut Writer, draft: &Draft) {
    if let Some(todo) = &draft.test.path.todo {
        w.todo(0, todo);
    }
    w.line(0, "test: { code: true }");
    w.gap();
    w.line(0, "actions:");
    w.line(1, "get_account:");
    w.line(2, "title: Get account");
    w.line(2, "description: Reads whose account this is.");
    w.line(2, "effect: read");
    w.line(2, "code: true");
    w.line(2, "input: { type: object, properties: {} }");
    w.line(2, "output:");
    w.line(3, "type: object");
    w.line(3, "required: [id, label]");
    w.line(3, "properties:");
    w.line(4, "id: { type: string }");
    w.line(4, "label: { type: string }");
    let reads = Reads::of(draft);
    let sample = inline(&[
        ("id".to_owned(), reads.id),
        ("label".to_owned(), reads.label),
    ]);
    w.line(2, &format!("sample: {sample}"));
}

fn test(w: &mut Writer, draft: &Draft) {
    let Test {
        path,
        query,
        status,
        ok,
        account_id,
        account_label,
        ..
    } = &draft.test;
    w.line(0, "test:");
    if let Some(todo) = &path.todo {
        w.todo(1, todo);
    }
    if query.is_empty() {
        let request = inline(&[
            ("method".to_owned(), "GET".to_owned()),
            ("path".to_owned(), path.text.clone()),
        ]);
        w.line(1, &format!("request: {request}"));
    } else {
        w.line(1, "request:");
        w.line(2, "method: GET");
        w.pair(2, "path", &path.text);
        w.map(2, "query", query);
    }
    match ok {
        Some(ok) => w.line(
            1,
            &format!(
                "ok: {{ status: {status}, body: {} }}",
                super::yaml::flow(ok)
            ),
        ),
        None => w.line(1, &format!("ok: {{ status: {status} }}")),
    }
    w.line(1, "account:");
    w.said(2, "id", account_id);
    w.said(2, "label", account_label);
    let name = &draft.name;
    w.line(1, "failures:");
    for (status, means, say) in [
        (
            401,
            "needs_reconnect",
            format!("{name} does not accept this sign-in any more. Sign in again."),
        ),
        (
            403,
            "missing_scope",
            format!("This sign-in may not read the account at {name}. Give it that right."),
        ),
        (
            429,
            "rate_limited",
            format!("{name} asks to slow down. Try again later."),
        ),
    ] {
        let say = super::yaml::flow(&say);
        w.line(
            2,
            &format!("- {{ status: {status}, means: {means}, say: {say} }}"),
        );
    }
}
