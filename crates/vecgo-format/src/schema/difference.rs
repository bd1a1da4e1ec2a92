use super::Schema;

impl Schema {
    /// Where this schema is not what was asked for; `None` if it is.
    pub fn difference(&self, asked: &Self) -> Option<String> {
        let said = |schema: &Schema, name: &str| {
            schema.field(name).map_or_else(|| "not declared".to_owned(), |field| field.in_full())
        };
        let mut names = self.fields().chain(asked.fields()).map(|(name, _)| name);
        if let Some(name) = names.find(|name| self.field(name) != asked.field(name)) {
            let (found, asked) = (said(self, name), said(asked, name));
            return Some(format!("field `{name}` is {found}; asked for {asked}"));
        }
        let strict = |schema: &Schema| if schema.is_strict() { "strict" } else { "not strict" };
        let (found, asked) = (strict(self), strict(asked));
        (found != asked).then(|| format!("the schema is {found}; asked for one that is {asked}"))
    }
}
