package ray

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
)

// maxBundle is what Ray's own client accepts as a working directory.
const maxBundle = 100 << 20

// bundle is a working directory as Ray wants it uploaded: the same files have the same name.
type bundle struct {
	name string
	zip  []byte
}

func pack(files []File) (bundle, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate}
		h.SetMode(fs.FileMode(0o644))
		if f.Mode != 0 {
			h.SetMode(fs.FileMode(f.Mode))
		}
		e, err := w.CreateHeader(h)
		if err != nil {
			return bundle{}, err
		}
		if _, err := e.Write(f.Data); err != nil {
			return bundle{}, err
		}
	}
	if err := w.Close(); err != nil {
		return bundle{}, err
	}
	if buf.Len() > maxBundle {
		return bundle{}, fmt.Errorf("ray: the job's files have %d MiB packed, Ray takes at most %d", buf.Len()>>20, maxBundle>>20)
	}
	sum := sha256.Sum256(buf.Bytes())
	return bundle{fmt.Sprintf("_ray_pkg_%x.zip", sum[:12]), buf.Bytes()}, nil
}
