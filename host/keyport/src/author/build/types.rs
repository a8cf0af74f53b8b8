//! The contract as TypeScript types, generated from `wit/`: what a component exports and imports, as componentize-qjs has it.
//!
//! A record is an object with camel-case keys, a variant is `{tag, val}`, an option is the value or `null`, bytes are a
//! `Uint8Array`; a function whose result is `result<T, E>` returns `T` and throws `E`.

use std::fmt::Write as _;

use wit_parser::{Function, Resolve, Type, TypeDefKind};

use crate::author::component::wit;

/// The types of every interface. `None` if the contract does not read, which a test rules out.
pub fn contract() -> Option<String> {
    let (resolve, _) = wit()?;
    let mut out = String::from("// Generated from wit/ by `keyport build`.\n");
    for (_, interface) in &resolve.interfaces {
        let Some(name) = &interface.name else {
            continue;
        };
        for id in interface.types.values() {
            let def = resolve.types.get(*id)?;
            let Some(own) = &def.name else { continue };
            // What another interface's `use` brought is there already.
            if matches!(&def.kind, TypeDefKind::Type(Type::Id(_))) {
                continue;
            }
            doc(&mut out, "", def.docs.contents.as_deref());
            let _ = writeln!(
                out,
                "export type {} = {};",
                pascal(own),
                kind(&resolve, &def.kind)
            );
        }
        if interface.functions.is_empty() {
            continue;
        }
        doc(&mut out, "", interface.docs.contents.as_deref());
        let _ = writeln!(out, "export interface {} {{", pascal(name));
        for function in interface.functions.values() {
            doc(&mut out, "  ", function.docs.contents.as_deref());
            let _ = writeln!(out, "  {};", signature(&resolve, function));
        }
        out.push_str("}\n");
    }
    Some(out)
}

fn doc(out: &mut String, indent: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let _ = writeln!(out, "{indent}/**");
    for line in text.trim().lines() {
        let _ = writeln!(
            out,
            "{indent} * {}",
            line.trim().replace("*/", "*\u{200b}/")
        );
    }
    let _ = writeln!(out, "{indent} */");
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|p| format!("{}: {}", camel(&p.name), ty(resolve, &p.ty)))
        .collect();
    let result = match &function.result {
        None => "void".to_owned(),
        Some(result) => match of(resolve, result) {
            Some(TypeDefKind::Result(it)) => it
                .ok
                .as_ref()
                .map_or("void".to_owned(), |ok| ty(resolve, ok)),
            _ => ty(resolve, result),
        },
    };
    format!("{}({}): {result}", camel(&function.name), params.join(", "))
}

fn of<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    match ty {
        Type::Id(id) => resolve.types.get(*id).map(|def| &def.kind),
        _ => None,
    }
}

fn ty(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean".to_owned(),
        Type::String | Type::Char => "string".to_owned(),
        Type::Id(id) => match resolve.types.get(*id) {
            Some(def) => match (&def.name, &def.kind) {
                (_, TypeDefKind::Type(inner @ Type::Id(_))) => self::ty(resolve, inner),
                (Some(name), _) => pascal(name),
                (None, inner) => kind(resolve, inner),
            },
            None => "unknown".to_owned(),
        },
        _ => "number".to_owned(),
    }
}

fn kind(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let ty = |it: &Type| self::ty(resolve, it);
    match kind {
        TypeDefKind::Type(inner) => ty(inner),
        TypeDefKind::Record(record) => {
            let mut text = String::from("{");
            for field in &record.fields {
                text.push('\n');
                doc(&mut text, "  ", field.docs.contents.as_deref());
                let _ = write!(text, "  {}: {};", camel(&field.name), ty(&field.ty));
            }
            text.push_str("\n}");
            text
        }
        TypeDefKind::Variant(variant) => {
            let cases: Vec<String> = variant
                .cases
                .iter()
                .map(|case| match &case.ty {
                    Some(inner) => format!("{{ tag: \"{}\"; val: {} }}", case.name, ty(inner)),
                    None => format!("{{ tag: \"{}\" }}", case.name),
                })
                .collect();
            cases.join(" | ")
        }
        TypeDefKind::Enum(cases) => {
            let names: Vec<String> = cases
                .cases
                .iter()
                .map(|it| format!("\"{}\"", it.name))
                .collect();
            names.join(" | ")
        }
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(ty).collect();
            format!("[{}]", types.join(", "))
        }
        TypeDefKind::Option(inner) => format!("{} | null", ty(inner)),
        TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
        TypeDefKind::List(inner) => format!("({})[]", ty(inner)),
        TypeDefKind::Result(it) => {
            let side = |side: &Option<Type>| side.as_ref().map_or("void".to_owned(), ty);
            format!(
                "{{ tag: \"ok\"; val: {} }} | {{ tag: \"err\"; val: {} }}",
                side(&it.ok),
                side(&it.err)
            )
        }
        _ => "unknown".to_owned(),
    }
}

fn pascal(name: &str) -> String {
    name.split('-').map(capital).collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    first + &words.map(capital).collect::<String>()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
        .unwrap_or_default()
}
