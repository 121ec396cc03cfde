package sign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// Encrypted keys are PKCS #8's EncryptedPrivateKeyInfo with PBES2: the key from
// PBKDF2 with HMAC-SHA-256, and AES-256 in CBC mode (RFC 8018), which is what
// OpenSSL writes and reads.

// rounds is what OWASP asks of PBKDF2 with SHA-256. maxRounds bounds the time
// that a hostile file can take.
const (
	rounds    = 600_000
	maxRounds = 2_000_000
	keySize   = 32
)

var (
	errPassword = errors.New("the password is wrong")
	errForm     = errors.New("the key is encrypted in a way that is not known here: it has to be PBES2 with AES-256-CBC and HMAC-SHA-256")
)

type (
	encrypted struct {
		Algorithm algorithm
		Data      []byte
	}
	algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters schemes
	}
	schemes struct {
		Derivation derivation
		Encryption encryption
	}
	derivation struct {
		ID         asn1.ObjectIdentifier
		Parameters derivationParameters
	}
	derivationParameters struct {
		Salt   []byte
		Rounds int
		Length int                      `asn1:"optional"`
		PRF    pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	encryption struct {
		ID     asn1.ObjectIdentifier
		Vector []byte
	}
)

func oidPBES2() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13} }
func oidPBKDF2() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12} }
func oidSHA256() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9} }
func oidAES256() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
}

func encrypt(der []byte, password string) ([]byte, error) {
	salt, vector := make([]byte, 16), make([]byte, aes.BlockSize)
	// It never fails.
	_, _ = rand.Read(salt)
	_, _ = rand.Read(vector)
	block, err := blockCipher(password, salt, rounds)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(der)%aes.BlockSize
	data := append([]byte(nil), der...)
	for range padding {
		data = append(data, byte(padding))
	}
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(data, data)
	var out encrypted
	out.Data = data
	out.Algorithm.ID = oidPBES2()
	d := &out.Algorithm.Parameters.Derivation
	d.ID = oidPBKDF2()
	d.Parameters = derivationParameters{Salt: salt, Rounds: rounds, PRF: pkix.AlgorithmIdentifier{Algorithm: oidSHA256(), Parameters: asn1.NullRawValue}}
	out.Algorithm.Parameters.Encryption = encryption{ID: oidAES256(), Vector: vector}
	return asn1.Marshal(out)
}

func decrypt(sealed []byte, password string) ([]byte, error) {
	var in encrypted
	if rest, err := asn1.Unmarshal(sealed, &in); err != nil || len(rest) > 0 {
		return nil, errForm
	}
	d, e := in.Algorithm.Parameters.Derivation, in.Algorithm.Parameters.Encryption
	known := in.Algorithm.ID.Equal(oidPBES2()) && d.ID.Equal(oidPBKDF2()) && d.Parameters.PRF.Algorithm.Equal(oidSHA256()) &&
		e.ID.Equal(oidAES256()) && len(e.Vector) == aes.BlockSize && d.Parameters.Rounds > 0 && d.Parameters.Rounds <= maxRounds &&
		len(in.Data) > 0 && len(in.Data)%aes.BlockSize == 0
	if !known {
		return nil, errForm
	}
	block, err := blockCipher(password, d.Parameters.Salt, d.Parameters.Rounds)
	if err != nil {
		return nil, errForm
	}
	data := make([]byte, len(in.Data))
	cipher.NewCBCDecrypter(block, e.Vector).CryptBlocks(data, in.Data)
	padding := int(data[len(data)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, errPassword
	}
	for _, b := range data[len(data)-padding:] {
		if int(b) != padding {
			return nil, errPassword
		}
	}
	der := data[:len(data)-padding]
	// A wrong password passes the padding once in 256 times.
	var any asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &any); err != nil || len(rest) > 0 {
		return nil, errPassword
	}
	return der, nil
}

func blockCipher(password string, salt []byte, n int) (cipher.Block, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, n, keySize)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}
