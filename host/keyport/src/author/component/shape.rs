//! The interfaces of a component, or of `wit/`, as plain text: function by function, every type written out, so that two
//! that mean the same are the same text whatever they call their types.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    Function, Handle, Resolve, SourceMap, Type, TypeDefKind, WorldId, WorldItem, WorldKey,
};

/// Deepest type that is written out; a component from a stranger may nest as it likes.
const MAX_DEPTH: usize = 32;

/// The package that host and components meet in, as it was when this program was built.
pub const WIT: &[(&str, &str)] = &[
    ("types.wit", include_str!("../../../../../wit/types.wit")),
    (
        "imports.wit",
        include_str!("../../../../../wit/imports.wit"),
    ),
    (
        "exports.wit",
        include_str!("../../../../../wit/exports.wit"),
    ),
    ("worlds.wit", include_str!("../../../../../wit/worlds.wit")),
];

/// Function → its type.
pub type Functions = BTreeMap<String, String>;

/// What goes in and out of a component, by the full names of its interfaces.
#[derive(Debug, Default)]
pub struct Shape {
    pub imports: BTreeMap<String, Functions>,
    pub exports: BTreeMap<String, Functions>,
}

impl Shape {
    /// Of a component's file; `None` where it is none.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match decode(bytes) {
            Ok(DecodedWasm::Component(resolve, world)) => Some(Self::of(&resolve, world)),
            _ => None,
        }
    }

    /// Of one world.
    pub fn of(resolve: &Resolve, world: WorldId) -> Self {
        let Some(world) = resolve.worlds.get(world) else {
            return Self::default();
        };
        let read =
            |items: wit_parser::IndexMap<WorldKey, WorldItem>| -> BTreeMap<String, Functions> {
                items
                    .iter()
                    .map(|(key, item)| {
                        let name = match key {
                            WorldKey::Name(name) => name.clone(),
                            WorldKey::Interface(id) => resolve.id_of(*id).unwrap_or_default(),
                        };
                        let functions = match item {
                            WorldItem::Interface { id, .. } => resolve
                                .interfaces
                                .get(*id)
                                .map(|interface| {
                                    interface
                                        .functions
                                        .iter()
                                        .map(|(n, f)| (n.clone(), function(resolve, f)))
                                        .collect()
                                })
                                .unwrap_or_default(),
                            WorldItem::Function(f) => {
                                Functions::from([(f.name.clone(), function(resolve, f))])
                            }
                            WorldItem::Type { .. } => Functions::new(),
                        };
                        (name, functions)
                    })
                    .collect()
            };
        Self {
            imports: read(world.imports.clone()),
            exports: read(world.exports.clone()),
        }
    }

    /// Of the world with everything in it, as this host has it.
    pub fn own() -> &'static Self {
        static OWN: OnceLock<Shape> = OnceLock::new();
        OWN.get_or_init(|| own().unwrap_or_default())
    }

    /// An interface that this world imports or exports, by its name without the version.
    pub fn interface(&self, name: &str) -> Option<(&String, &Functions)> {
        let mut all = self.imports.iter().chain(&self.exports);
        all.find(|(known, _)| bare(known) == name)
    }

    /// An export by its name without the version.
    pub fn export(&self, name: &str) -> Option<&Functions> {
        self.exports
            .iter()
            .find(|(known, _)| bare(known) == name)
            .map(|(_, f)| f)
    }
}

fn bare(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// The package of `wit/` and its world `complete`.
pub fn wit() -> Option<(Resolve, WorldId)> {
    let mut map = SourceMap::default();
    for (name, text) in WIT {
        map.push_str(name, *text);
    }
    let mut resolve = Resolve::default();
    let group = map.parse().map_err(|_| ()).ok()?;
    let package = resolve.push_group(group).ok()?;
    let world = resolve.select_world(&[package], Some("complete")).ok()?;
    Some((resolve, world))
}

fn own() -> Option<Shape> {
    let (resolve, world) = wit()?;
    Some(Shape::of(&resolve, world))
}

fn function(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|p| format!("{}: {}", p.name, text(resolve, &p.ty, 0)))
        .collect();
    let result = function
        .result
        .as_ref()
        .map(|ty| format!(" -> {}", text(resolve, ty, 0)));
    format!("func({}){}", params.join(", "), result.unwrap_or_default())
}

fn text(resolve: &Resolve, ty: &Type, depth: usize) -> String {
    let Type::Id(id) = ty else {
        return format!("{ty:?}").to_lowercase();
    };
    let Some(kind) = resolve.types.get(*id).map(|def| &def.kind) else {
        return "?".to_owned();
    };
    if depth > MAX_DEPTH {
        return "…".to_owned();
    }
    let of = |ty: &Type| text(resolve, ty, depth + 1);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    match kind {
        TypeDefKind::Type(inner) => text(resolve, inner, depth + 1),
        TypeDefKind::Record(record) => {
            let fields: Vec<String> = record
                .fields
                .iter()
                .map(|f| format!("{}: {}", f.name, of(&f.ty)))
                .collect();
            format!("record {{ {} }}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases: Vec<String> = variant
                .cases
                .iter()
                .map(|c| match &c.ty {
                    Some(ty) => format!("{}({})", c.name, of(ty)),
                    None => c.name.clone(),
                })
                .collect();
            format!("variant {{ {} }}", cases.join(", "))
        }
        TypeDefKind::Enum(cases) => {
            let names: Vec<&str> = cases.cases.iter().map(|c| c.name.as_str()).collect();
            format!("enum {{ {} }}", names.join(", "))
        }
        TypeDefKind::Flags(flags) => {
            let names: Vec<&str> = flags.flags.iter().map(|f| f.name.as_str()).collect();
            format!("flags {{ {} }}", names.join(", "))
        }
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(of).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Option(inner) => format!("option<{}>", of(inner)),
        TypeDefKind::List(inner) => format!("list<{}>", of(inner)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err))
        }
        TypeDefKind::Handle(Handle::Own(_)) => "own".to_owned(),
        TypeDefKind::Handle(Handle::Borrow(_)) => "borrow".to_owned(),
        other => other.as_str().to_owned(),
    }
}
