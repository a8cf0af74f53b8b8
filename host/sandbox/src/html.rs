//! Writing HTML in which nothing unescaped can end up.
//!
//! [`Markup::raw`] takes only text of this program; everything else goes through [`Markup::text`], which escapes. A forgotten
//! escape does not compile. Pages have no inline script or style, and the content policy forbids both.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// HTML under construction.
#[derive(Default)]
pub(crate) struct Markup(String);

impl Markup {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, for an element's content or an attribute in double quotes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// A hidden form field.
    pub(crate) fn hidden(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw("<input type=\"hidden\" name=\"").raw(name);
        self.raw("\" value=\"").text(value).raw("\">")
    }

    /// The first letters of a name, as a picture of a person.
    pub(crate) fn avatar(&mut self, name: &str) -> &mut Self {
        let letters: String = name
            .split_whitespace()
            .filter_map(|word| word.chars().next())
            .take(2)
            .collect();
        self.raw("<span class=\"avatar\" aria-hidden=\"true\">");
        self.text(&letters).raw("</span>")
    }
}

/// Where forms of a page may lead.
#[derive(Clone, Copy)]
pub(crate) enum Forms {
    /// Back to the vendor.
    Here,
    /// To wherever the vendor redirects. Browsers apply `form-action` to the whole chain of redirects after a form is sent,
    /// and where a client's callback leads next is not for us to know: a consent page that names targets breaks sign-in.
    Anywhere,
}

const POLICY_HERE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
     frame-ancestors 'none'; form-action 'self'";
const POLICY_ANYWHERE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A whole page round `main`.
pub(crate) fn page(status: StatusCode, title: &str, main: &Markup, forms: Forms) -> Response {
    let mut page = Markup::new();
    page.raw(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
    );
    page.text(title).raw(
        " · Vendora</title><link rel=\"icon\" href=\"/assets/vendora.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/assets/vendora.css\">\
         <script src=\"/assets/vendora.js\" defer></script></head><body>\
         <header class=\"bar\"><a class=\"brand\" href=\"/\">\
         <img src=\"/assets/vendora.svg\" alt=\"\" width=\"28\" height=\"28\">Vendora</a>\
         <span class=\"tag\">sandbox</span></header><main>",
    );
    page.0.push_str(&main.0);
    page.raw(
        "</main><footer>Vendora is a pretend service for trying things out. \
         Its accounts are made up and forgotten when it stops.</footer></body></html>\n",
    );
    let policy = match forms {
        Forms::Here => POLICY_HERE,
        Forms::Anywhere => POLICY_ANYWHERE,
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(policy),
        ),
    ];
    (status, headers, page.0).into_response()
}

/// A page that says what went wrong.
pub(crate) fn sorry(status: StatusCode, title: &'static str, words: &'static str) -> Response {
    let mut main = Markup::new();
    main.raw("<section class=\"card narrow\"><h1>").raw(title);
    main.raw("</h1><p>").raw(words);
    main.raw("</p><p><a href=\"/developer\">To the developer page</a></p></section>");
    page(status, title, &main, Forms::Here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_leave_neither_an_element_nor_an_attribute() {
        let mut markup = Markup::new();
        markup.text("<script>\"'&");
        assert_eq!(markup.0, "&lt;script&gt;&quot;&#39;&amp;");
    }
}
