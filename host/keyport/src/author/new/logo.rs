//! A lettermark to stand in until the real logo is there: the app's initial, drawn in strokes, since a logo has no fonts.

/// The strokes of A to Z within a box of 24.
const LETTERS: [&str; 26] = [
    "M7.5 17.5 12 6.5l4.5 11M9.2 13.7h5.6",
    "M8.5 6.5v11h4.2a3 3 0 0 0 0-6H8.5m0 0h3.7a2.5 2.5 0 0 0 0-5H8.5",
    "M16 8.4a5.5 5.5 0 1 0 0 7.2",
    "M8.5 6.5v11h3a5.5 5.5 0 0 0 0-11z",
    "M15.5 6.5h-7v11h7M8.5 12H14",
    "M15.5 6.5h-7v11M8.5 12H14",
    "M16 8.4a5.5 5.5 0 1 0 1.2 4.1H13",
    "M8 6.5v11M16 6.5v11M8 12h8",
    "M12 6.5v11",
    "M14.5 6.5v7.7a3.2 3.2 0 0 1-6.2.8",
    "M8.5 6.5v11M15.5 6.5l-7 6.5M11 10.8l4.8 6.7",
    "M9 6.5v11h6.5",
    "M7 17.5v-11l5 7 5-7v11",
    "M8 17.5v-11l8 11v-11",
    "M12 6.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 1 0 0-11z",
    "M8.5 17.5v-11h4a3.2 3.2 0 0 1 0 6.4h-4",
    "M12 6.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 1 0 0-11zM13.5 14.5l3.5 3.5",
    "M8.5 17.5v-11h4a3.1 3.1 0 0 1 0 6.2h-4M12.5 12.7l3.5 4.8",
    "M16 8.3c-.6-1.2-2-2-3.9-2-2.2 0-3.8 1.1-3.8 2.8 0 3.9 7.6 1.9 7.6 5.7 0 1.7-1.6 2.9-3.9 2.9-2.1 0-3.6-.9-4.1-2.3",
    "M7.5 7h9M12 7v10.5",
    "M8 6.5v7a4 4 0 0 0 8 0v-7",
    "M7.5 6.5 12 17.5l4.5-11",
    "M6 6.5l3 11 3-8 3 8 3-11",
    "M8 6.5l8 11M16 6.5l-8 11",
    "M8 6.5l4 5.5 4-5.5M12 12v5.5",
    "M8 6.5h8l-8 11h8",
];

/// What stands for an app whose id has no letter: a plug.
const OTHER: &str = "M9 6.5v4M15 6.5v4M7 10.5h10v2a5 5 0 0 1-10 0zM12 17.5v2";

/// The drawing.
pub fn draw(id: &str, name: &str) -> String {
    let strokes = id
        .bytes()
        .find(u8::is_ascii_lowercase)
        .and_then(|b| LETTERS.get(usize::from(b - b'a')))
        .unwrap_or(&OTHER);
    let title: String = name
        .chars()
        .filter(|c| !matches!(c, '<' | '>' | '&' | '=') && !c.is_control())
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\" role=\"img\"><title>{title}</title>\
         <rect width=\"24\" height=\"24\" rx=\"5\" fill=\"#475569\"/><path fill=\"none\" stroke=\"#fff\" \
         stroke-width=\"1.6\" stroke-linecap=\"round\" stroke-linejoin=\"round\" d=\"{strokes}\"/></svg>\n"
    )
}
