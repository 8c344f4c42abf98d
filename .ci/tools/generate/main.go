// Command generate writes the generated code of the two .proto files anew, as `buf generate` does, from the
// Go module proxy alone and in seconds: buf itself takes minutes to build, and protoc is no Go program.
//
//	generate ROOT GOBIN    the repository, and the folder with protoc-gen-go and protoc-gen-connect-go
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/pluginpb"
)

// sources are the folders of buf.yaml, each with its files.
var sources = []struct{ dir, file string }{
	{"fsm", "fsmpb/command.proto"},
	{"sdk/api", "v1/fanfold.proto"},
}

// plugins and parameter are those of buf.gen.yaml.
var plugins = []string{"protoc-gen-go", "protoc-gen-connect-go"}

const parameter = "module=github.com/fanfold/fanfold"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate ROOT GOBIN")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root, bin string) error {
	for _, s := range sources {
		compiler := protocompile.Compiler{
			Resolver:       &protocompile.SourceResolver{ImportPaths: []string{filepath.Join(root, s.dir)}},
			SourceInfoMode: protocompile.SourceInfoStandard,
		}
		compiled, err := compiler.Compile(context.Background(), s.file)
		if err != nil {
			return err
		}
		for _, plugin := range plugins {
			if err := generate(root, filepath.Join(bin, plugin), compiled[0]); err != nil {
				return fmt.Errorf("%s of %s: %w", plugin, s.file, err)
			}
		}
	}
	return nil
}

func generate(root, plugin string, file linker.File) error {
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{file.Path()}, Parameter: proto.String(parameter)}
	for i := range file.Imports().Len() {
		return fmt.Errorf("it imports %s: add imports to this program first", file.Imports().Get(i).Path())
	}
	request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	input, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.Command(plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return err
	}
	response := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(output, response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, f := range response.File {
		path := filepath.Join(root, filepath.FromSlash(f.GetName()))
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
