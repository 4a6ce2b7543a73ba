package graph

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
)

const (
	uploadType   = "application/octet-stream"
	bearer       = "Bearer "
	uploadStall  = time.Minute // how long a body may stand still
	uploadsAgain = "30"        // seconds
)

// uploadSession tells how the file of a package is brought (resolutions 28); nil when that is over.
func (s *server) uploadSession(p *models.Package) *model.UploadSession {
	if p == nil || p.State != models.PackageUploading {
		return nil
	}
	return &model.UploadSession{
		ID: models.Subject{Kind: models.KindPackage, ID: p.ID}, URL: "/uploads/" + p.ID.String(), MaxBytes: p.Size, ExpiresAt: p.UploadUntil,
		Headers: []*model.HTTPHeader{
			{Name: "Content-Type", Value: uploadType}, {Name: "Authorization", Value: bearer + s.Packages.UploadToken(p.ID).Reveal()},
		},
	}
}

// upload takes PUT /uploads/<id>: 201 when the file is there, 401 without its token, 409 for a second body, 410 when its time is over, 413 beyond
// the announced size, 422 if it is another file, 400 if it broke off.
func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPut)
		http.Error(w, "only PUT is answered here", http.StatusMethodNotAllowed)
		return
	}
	control := http.NewResponseController(w)
	body := &moving{Reader: r.Body, control: control}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), bearer)
	id, err := models.ParseID(r.PathValue("id"))
	if err == nil {
		err = s.Packages.Put(r.Context(), id, models.Secret(token), r.ContentLength, body)
	} else {
		err = packages.ErrNoUpload
	}
	_ = control.SetWriteDeadline(time.Now().Add(uploadStall)) // the body may have taken longer than an answer may
	if err == nil {
		w.WriteHeader(http.StatusCreated)
		return
	}
	status := http.StatusInternalServerError
	for known, answer := range map[error]int{
		packages.ErrNoUpload: http.StatusUnauthorized, packages.ErrStored: http.StatusConflict, packages.ErrOver: http.StatusGone,
		packages.ErrTooLarge: http.StatusRequestEntityTooLarge, packages.ErrDiffers: http.StatusUnprocessableEntity, packages.ErrBusy: http.StatusServiceUnavailable,
	} {
		if errors.Is(err, known) {
			status = answer
		}
	}
	sentence := err.Error()
	switch {
	case body.err != nil:
		status, sentence = http.StatusBadRequest, "the body broke off"
	case status == http.StatusInternalServerError:
		slog.ErrorContext(r.Context(), "take the file of a package", "package", id, "error", err)
		sentence = "internal error"
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", uploadsAgain)
	}
	w.Header().Set("Connection", "close") // what is left of the body is not read
	http.Error(w, sentence, status)
}

// moving lets a body come in as long as it moves.
type moving struct {
	io.Reader
	control *http.ResponseController
	err     error
}

func (m *moving) Read(p []byte) (int, error) {
	_ = m.control.SetReadDeadline(time.Now().Add(uploadStall)) // a reader without deadlines has none to extend
	n, err := m.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return n, err
}
