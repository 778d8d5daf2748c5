package manager

// DecodeSpec reads the JSON form of a Spec, and refuses unknown fields, so that a misspelt one does not go unnoticed.
// Errors are CodeInvalid and name the field.
func DecodeSpec(data []byte) (Spec, error) { panic("todo") }
